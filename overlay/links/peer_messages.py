"""What nodes say to each other: one msgpack array a frame, told apart by its first element.

In and out: these structs. Every request carries an id that its answer repeats. A field added at the
end is compatible both ways: older nodes ignore it, newer ones see its default.
"""

from enum import StrEnum
from typing import Annotated, get_args

import msgspec

from overlay.base import decoding
from overlay.records.claim import Claim, Heard
from overlay.records.node_info import Key, NodeInfo

PROTOCOL_VERSION = 1
PROTOCOL_VERSION_MIN = 1


class Capability(StrEnum):
    """What a node says that it understands, beyond what every node of its protocol version does.

    A kind of request that came after its version is only sent to peers that name its capability
    (`NEEDS`): their daemons would close the link on it otherwise.
    """

    CLAIMS = "claims"
    """It counts the calls that a subscriber has at a time."""
    DATAGRAMS = "datagrams"
    """It answers pings beside the links."""
    COMPARISON = "comparison"
    """Lists of members are compared, and links closed by agreement."""
    MAINTENANCE = "maintenance"
    """It grants the lease of the node that drains."""
    LOCKOUTS = "lockouts"
    """It is told of those who guess passwords."""
    SETTINGS = "settings"
    """It keeps the farm's settings."""
    UNKNOWN_KINDS = "unknown-kinds"
    """A request of a kind that it does not know is answered so, and the link stays."""


class Message(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Base of everything on a link; `id` pairs an answer with its request, 0 for neither."""

    id: int = 0


class Hello(Message, frozen=True, kw_only=True, tag=1):
    """The first frame of each side."""

    version_min: int
    version_max: int
    farm: str
    node: NodeInfo
    incarnation: int
    """Higher at every start of the node, about Unix time in ms: tells a restarted peer from the one
    before."""
    capabilities: tuple[str, ...] = ()
    software: str = ""


class Goodbye(Message, frozen=True, kw_only=True, tag=2):
    """The sender leaves the farm, or refuses the link; the text says why."""

    left: bool
    reason: str = ""


class Ping(Message, frozen=True, kw_only=True, tag=3):
    """Answered by `Ack`."""


class Ack(Message, frozen=True, kw_only=True, tag=4):
    """Done, with nothing to say."""


class Failed(Message, frozen=True, kw_only=True, tag=5):
    """The request could not be done; `code` as in `overlay.control.messages.Refused`."""

    code: str
    reason: str


class FindNode(Message, frozen=True, kw_only=True, tag=6):
    """Kademlia FIND_NODE. Answered by `Nodes`."""

    target: Key


class Nodes(Message, frozen=True, kw_only=True, tag=7):
    """The nodes nearest to the target that the answerer knows to be alive."""

    nodes: tuple[NodeInfo, ...]


class Store(Message, frozen=True, kw_only=True, tag=8):
    """Merge this into the record under `key`. Answered by `Stored` when it is safe."""

    kind: int
    key: Key
    body: bytes
    expected: bytes = b""
    """Digest of the merged record that the sender expects; it is sent back only if it differs."""


class Stored(Message, frozen=True, kw_only=True, tag=9):
    """It is merged, and on disk if its kind asks for that; `body` is the record if unexpected."""

    body: bytes = b""


class Fetch(Message, frozen=True, kw_only=True, tag=10):
    """Read a record. Answered by `Fetched`."""

    kind: int
    key: Key
    lease_ms: int = 0
    """Above 0: tell me of changes for so long."""


class Fetched(Message, frozen=True, kw_only=True, tag=11):
    """The record; empty bodies: none here. A call has a body an event, others have one."""

    bodies: tuple[bytes, ...] = ()
    lease_ms: int = 0
    """The lease that was granted."""


class Changed(Message, frozen=True, kw_only=True, tag=12):
    """A record that you hold a lease on is now this. Answered by `Ack`."""

    kind: int
    key: Key
    body: bytes


class RegisterAt(Message, frozen=True, kw_only=True, tag=13):
    """A REGISTER for a record that the receiver is a replica of. Answered by `RegisteredAt`."""

    body: bytes
    """A control `Register`."""


class RegisteredAt(Message, frozen=True, kw_only=True, tag=14):
    """A control `Registered`."""

    body: bytes


class Offer(Message, frozen=True, kw_only=True, tag=15):
    """These records should be at your place too. Answered by `Wanted`."""

    kind: int
    records: tuple[tuple[Key, bytes], ...]
    """Keys and digests."""


class Wanted(Message, frozen=True, kw_only=True, tag=16):
    """The keys of those that the answerer lacks or has otherwise."""

    keys: tuple[Key, ...]


class ListCallsAt(Message, frozen=True, kw_only=True, tag=17):
    """Calls that the receiver holds, by time. Answered by `CallsAt`."""

    after_us: int
    after_key: bytes
    until_us: int
    limit: int
    chained: bool = False
    """Not calls, but signed blocks (`overlay.billing.chain`); older nodes tell of calls."""
    aor: str = ""
    """Only calls that it has a part in; older nodes tell of all."""


class CallsAt(Message, frozen=True, kw_only=True, tag=18):
    """Calls in order of (time of an event, key), each with all its events."""

    rows: tuple[tuple[int, bytes, tuple[bytes, ...]], ...]
    more: bool


class ListSubscribersAt(Message, frozen=True, kw_only=True, tag=19):
    """Subscribers that the receiver holds, by name. Answered by `SubscribersAt`."""

    after: str
    limit: int


class SubscribersAt(Message, frozen=True, kw_only=True, tag=20):
    """Names of subscribers in order."""

    bodies: tuple[bytes, ...]
    more: bool


class DescribeNode(Message, frozen=True, kw_only=True, tag=21):
    """How are you? Answered by `Described`."""


class Described(Message, frozen=True, kw_only=True, tag=22):
    """A control `NodeStatus`."""

    body: bytes


class StoreMany(Message, frozen=True, kw_only=True, tag=23):
    """Merge these into the records under their keys. Answered by `Ack` when they are safe."""

    kind: int
    records: tuple[tuple[Key, bytes], ...]
    """Keys and bodies."""


class AskRevocations(Message, frozen=True, kw_only=True, tag=30):
    """Have you a newer revocation list than this version? Answered by `RevocationsAre`."""

    have: int


class RevocationsAre(Message, frozen=True, kw_only=True, tag=31):
    """The list (`overlay.identity.revocations`); empty if there is no newer one."""

    body: bytes


class RevocationsChanged(Message, frozen=True, kw_only=True, tag=32):
    """The sender has this version of the revocation list. Answered by `Ack`."""

    version: int


class AskSettings(Message, frozen=True, kw_only=True, tag=90):
    """Have you newer settings of the farm than this version? Answered by `SettingsAre`."""

    have: int


class SettingsAre(Message, frozen=True, kw_only=True, tag=91):
    """The settings (`overlay.records.settings`); empty if there are no newer ones."""

    body: bytes


class SettingsChanged(Message, frozen=True, kw_only=True, tag=92):
    """The sender has this version of the farm's settings. Answered by `Ack`."""

    version: int


class MemberUpdate(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a node says of another, or of itself."""

    node: NodeInfo
    state: int
    """Place in `overlay.links.member_claims.BY_RANK`."""
    incarnation: int
    origin: Key
    """Id of the node that found this out."""


class Gossip(Message, frozen=True, kw_only=True, tag=40):
    """News of members. Answered by `Ack`."""

    updates: tuple[MemberUpdate, ...]


class PingFor(Message, frozen=True, kw_only=True, tag=41):
    """Ping this node for me. Answered by `Ack`, or by `Failed` with code `silent` in good time."""

    target: Key


class CompareMembers(Message, frozen=True, kw_only=True, tag=42):
    """Digests of the sender's list of members. Answered by `MembersAre`."""

    digests: bytes
    """One for each slice of the id space (`overlay.membership.comparison`)."""
    first: int = 0
    """Slices before this one are of no interest."""


class MembersAre(Message, frozen=True, kw_only=True, tag=43):
    """What the answerer has in slices whose digests differ."""

    updates: tuple[MemberUpdate, ...]
    next: int
    """Slice to go on with; the number of slices when that was all."""


class Idle(Message, frozen=True, kw_only=True, tag=44):
    """The sender, who dialled this link, would close it. Answered by `Ack`: the answerer has taken
    it out of use; or by `Failed` with code `wanted`."""


class DatagramKey(Message, frozen=True, kw_only=True, tag=45):
    """What the receiver is to key its datagrams to the sender with. Answered by `Ack`."""

    key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Lockout(Message, frozen=True, kw_only=True, tag=96):
    """This user, or with an empty one anybody, is locked out from an address. Answered by `Ack`."""

    aor: str
    address: str
    seconds: int
    """0: no longer."""


class ClaimAt(Message, frozen=True, kw_only=True, tag=60):
    """May this subscriber have one more call? Answered by `ClaimedAt`."""

    key: Key
    """Of the subscriber's record."""
    call: Key
    """`overlay.records.claim.claim_id`."""
    call_key: Key
    """Of the call's record."""
    cseq: int
    """Of the INVITE."""
    calls_max: Annotated[int, msgspec.Meta(ge=1)]


class ClaimedAt(Message, frozen=True, kw_only=True, tag=61):
    """He may, or may not."""

    granted: bool
    calls: int
    """As many as are counted now."""


class ReleaseAt(Message, frozen=True, kw_only=True, tag=62):
    """A call that was granted will not be. Answered by `Ack`."""

    key: Key
    call: Key
    cseq: int


class ShareClaims(Message, frozen=True, kw_only=True, tag=63):
    """Claims of a subscriber that the receiver is a replica of. Answered by `Ack`."""

    key: Key
    claims: tuple[Claim, ...]


class AskCalls(Message, frozen=True, kw_only=True, tag=64):
    """What have you heard of these calls? Answered by `CallsHeard`."""

    calls: tuple[tuple[Key, Key], ...]
    """Claimed call and key of its record, each."""


class CallsHeard(Message, frozen=True, kw_only=True, tag=65):
    """For each of the calls, in order."""

    heard: tuple[Heard, ...]


class AskLease(Message, frozen=True, kw_only=True, tag=70):
    """The sender wants the farm's maintenance lease. Answered by `LeaseIs`."""

    held: bool = False
    """It has it, and renews it."""
    forced: bool = False
    """By the operator's word, whoever has it."""
    age_ms: Annotated[int, msgspec.Meta(ge=0)] = 0
    """For how long it has had it."""


class LeaseIs(Message, frozen=True, kw_only=True, tag=71):
    """The answerer keeps it for the sender, or for somebody else."""

    granted: bool
    name: str = ""
    """Who has it instead."""
    held: bool = False
    """False: that node only asks for it."""
    age_ms: int = 0


class EndLease(Message, frozen=True, kw_only=True, tag=72):
    """The sender does not have, or want, the maintenance lease any more. Answered by `Ack`."""


class LeaseKept(Message, frozen=True, kw_only=True, tag=73):
    """The sender keeps the maintenance lease for the receiver, perhaps for a run of it that is
    over. Answered by `Ack`."""


Request = (
    Ping
    | FindNode
    | Store
    | StoreMany
    | Fetch
    | Changed
    | RegisterAt
    | Offer
    | ListCallsAt
    | ListSubscribersAt
    | DescribeNode
    | AskRevocations
    | RevocationsChanged
    | AskSettings
    | SettingsChanged
    | Gossip
    | PingFor
    | CompareMembers
    | Idle
    | DatagramKey
    | Lockout
    | ClaimAt
    | ReleaseAt
    | ShareClaims
    | AskCalls
    | AskLease
    | EndLease
    | LeaseKept
)
Reply = (
    Ack
    | Failed
    | Nodes
    | Stored
    | Fetched
    | RegisteredAt
    | Wanted
    | CallsAt
    | SubscribersAt
    | Described
    | RevocationsAre
    | SettingsAre
    | MembersAre
    | ClaimedAt
    | CallsHeard
    | LeaseIs
)
REPLIES = (
    Ack,
    Failed,
    Nodes,
    Stored,
    Fetched,
    RegisteredAt,
    Wanted,
    CallsAt,
    SubscribersAt,
    Described,
    RevocationsAre,
    SettingsAre,
    MembersAre,
    ClaimedAt,
    CallsHeard,
    LeaseIs,
)
UPKEEP = (
    Ping,
    PingFor,
    Gossip,
    CompareMembers,
    AskRevocations,
    RevocationsChanged,
    AskSettings,
    SettingsChanged,
    Idle,
    DatagramKey,
)
"""What is asked on a link because it is there: not a use that keeps it."""

NEEDS: dict[type[Message], Capability] = {
    Lockout: Capability.LOCKOUTS,
    CompareMembers: Capability.COMPARISON,
    Idle: Capability.COMPARISON,
    DatagramKey: Capability.DATAGRAMS,
    AskSettings: Capability.SETTINGS,
    SettingsChanged: Capability.SETTINGS,
    ClaimAt: Capability.CLAIMS,
    ReleaseAt: Capability.CLAIMS,
    ShareClaims: Capability.CLAIMS,
    AskCalls: Capability.CLAIMS,
    AskLease: Capability.MAINTENANCE,
    EndLease: Capability.MAINTENANCE,
    LeaseKept: Capability.MAINTENANCE,
}
"""What a peer must be capable of to be asked this."""
_TAGS = frozenset(
    kind.__struct_config__.tag for kind in (Hello, Goodbye, *get_args(Request), *get_args(Reply))
)


class Head(msgspec.Struct, frozen=True, array_like=True):
    """How every message begins."""

    tag: int
    id: int


def unknown_kind(payload: bytes) -> Head | None:
    """The head of a message of a kind that this version does not know; None for all else."""
    try:
        head = _decode_head(payload)
    except msgspec.MsgspecError:
        return None
    return None if head.tag in _TAGS else head


_decode_head = decoding.msgpack(Head)
encode = msgspec.msgpack.Encoder().encode
decode = decoding.msgpack(Hello | Goodbye | Request | Reply)
