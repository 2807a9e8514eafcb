"""What proxies and the CLI may ask of their node's daemon, and what it answers.

In and out: one msgpack array a frame, behind a 4-byte big-endian length, on a Unix socket. A
request carries `id`, which its answer repeats; answers may come in another order than requests.
Counterparts: `client.py` asks, `server.py` answers.

Adding a field at the end of a message is compatible both ways; changing or removing one is not.
"""

import msgspec

from overlay.base import decoding
from overlay.records.call import CallEvent
from overlay.records.call_record import CallRecord
from overlay.records.draining import DrainPhase, DrainWish, Missing, Withheld
from overlay.records.gateway_answer import GatewayAnswer
from overlay.records.node_status import NodeStatus
from overlay.records.register import Contact, ContactChange, RegisterOutcome
from overlay.records.registration import Binding
from overlay.records.subscriber import Policy, Subscriber
from overlay.records.targets import Reach, Target


class Request(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Base of all requests; `deadline_ms` is how long the asker will wait, 0 for the default."""

    id: int = 0
    deadline_ms: int = 0


class Answer(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Base of all answers."""

    id: int


class Refused(Answer, frozen=True, kw_only=True, tag=0):
    """The request could not be done; `code` is for programs, `reason` for people."""

    code: str
    """`bad-request`, `too-large`, `busy`, `unavailable`, `storage`, `not-found`, `forged` (without
    the operator's signature), `outdated` (a later version is in force), `internal`."""
    reason: str


# What proxies ask.


class Locate(Request, frozen=True, kw_only=True, tag=1):
    """Where is this address-of-record? Answered by `Located`."""

    aor: str


class Located(Answer, frozen=True, kw_only=True, tag=1):
    """Targets in the order in which to try them; the same order on every node."""

    reach: Reach
    targets: tuple[Target, ...] = ()


class Authenticate(Request, frozen=True, kw_only=True, tag=2):
    """The digest secrets of a subscriber. Answered by `Secrets`."""

    aor: str
    address: str = ""
    """Where the request came from; empty where that says nothing of who sent it."""


class Secrets(Answer, frozen=True, kw_only=True, tag=2):
    """Empty secrets: no such subscriber."""

    ha1: str
    ha1_sha256: str
    policy: Policy = Policy()
    locked_s: int = 0
    """Above 0: nobody is let in from that address for so long, at least not as this user."""


class Register(Request, frozen=True, kw_only=True, tag=3):
    """An authorized REGISTER. Answered by `Registered`.

    No contacts and no `remove_all` asks for the bindings as they are (RFC 3261 10.2.3).
    """

    aor: str
    call_id: str
    cseq: int
    contacts: tuple[ContactChange, ...] = ()
    remove_all: bool = False
    """`Contact: *` with Expires 0."""
    path: tuple[str, ...] = ()
    user_agent: str = ""
    contacts_max: int = 0
    """This subscriber's limit of bindings; 0: the farm's."""


class Registered(Answer, frozen=True, kw_only=True, tag=3):
    """The answer to a REGISTER."""

    outcome: RegisterOutcome
    bindings: tuple[Contact, ...] = ()
    move: bool = False
    """The phone should find another node: its connection ends soon."""
    weak: bool = False
    """Fewer nodes than overlay.write_quorum are there to hold it."""


class WriteEvent(Request, frozen=True, kw_only=True, tag=4):
    """Make this call event safe. Answered by `Written`, or by `Refused` when nothing is."""

    event: CallEvent


class Written(Answer, frozen=True, kw_only=True, tag=4):
    """The event is safe; `level` is `quorum` (W disks) or `journal` (this node's disk alone)."""

    level: str


# What the CLI asks.


class GetStatus(Request, frozen=True, kw_only=True, tag=20):
    """This node's view of itself and of the farm. Answered by `Status`."""


class Status(Answer, frozen=True, kw_only=True, tag=20):
    """The farm as the asked node sees it, itself first."""

    farm: str
    nodes: tuple[NodeStatus, ...]


class GetLocation(Request, frozen=True, kw_only=True, tag=21):
    """All that is stored of an address-of-record. Answered by `Location`."""

    aor: str


class Location(Answer, frozen=True, kw_only=True, tag=21):
    """The merged registration record and which nodes answered with a copy."""

    aor: str
    reach: Reach
    bindings: tuple[Binding, ...]
    replicas: tuple[str, ...]
    """Names of the nodes that hold it."""
    elapsed_us: int
    complete: bool = True
    """At least overlay.read_quorum replicas answered: nothing that was acknowledged is missing."""


class ListCalls(Request, frozen=True, kw_only=True, tag=22):
    """A page of billing records from the whole farm. Answered by `Calls`."""

    cursor: str = ""
    limit: int = 100
    subscriber: str = ""
    """Only calls with this address-of-record on either side."""
    since_us: int = 0
    until_us: int = 0
    """0: no bound."""
    states: tuple[str, ...] = ()
    """Only records of these states; none: of all."""


class ShowCall(Request, frozen=True, kw_only=True, tag=23):
    """All billing records of one Call-ID. Answered by `Calls`."""

    call_id: str


class Calls(Answer, frozen=True, kw_only=True, tag=22):
    """Billing records; a cursor that is not empty continues the list."""

    calls: tuple[CallRecord, ...]
    cursor: str = ""
    silent: tuple[str, ...] = ()
    """Nodes that are alive but did not answer: the page may be incomplete."""


class ListCopies(Request, frozen=True, kw_only=True, tag=45):
    """Call events as each node keeps them, a page from the whole farm. Answered by `Copies`."""

    cursor: str = ""
    limit: int = 500
    since_us: int = 0
    until_us: int = 0
    chained: bool = False
    """Not events of calls, but the signed blocks of them (`overlay.billing.chain`)."""


class EventCopy(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One version of an event."""

    body: bytes
    holders: tuple[str, ...]
    """Nodes that keep this version."""


class Copies(Answer, frozen=True, kw_only=True, tag=45):
    """All versions of the events of some calls."""

    copies: tuple[EventCopy, ...]
    cursor: str = ""
    silent: tuple[str, ...] = ()


class PutSubscriber(Request, frozen=True, kw_only=True, tag=24):
    """Store a subscriber record that the operator signed. Answered by `Done`."""

    record: Subscriber


class ListSubscribers(Request, frozen=True, kw_only=True, tag=25):
    """A page of subscribers from the whole farm. Answered by `Subscribers`."""

    cursor: str = ""
    limit: int = 100


class Subscribers(Answer, frozen=True, kw_only=True, tag=25):
    """Subscribers in order of their names, without their secrets."""

    aors: tuple[str, ...]
    cursor: str = ""
    silent: tuple[str, ...] = ()


class Done(Answer, frozen=True, kw_only=True, tag=26):
    """It is done; `detail` is for people."""

    detail: str = ""


class Leave(Request, frozen=True, kw_only=True, tag=27):
    """Leave the farm gracefully: tell every peer, then stop. Answered by `Done`."""


class Withdraw(Request, frozen=True, kw_only=True, tag=32):
    """Take this node's Kamailio out of DNS: it is about to be stopped. Answered by `Done`."""


class Drain(Request, frozen=True, kw_only=True, tag=30):
    """Take the asked node out of service, or back. Answered by `Drained`."""

    wish: DrainWish = DrainWish.LOOK


class Drained(Answer, frozen=True, kw_only=True, tag=30):
    """How far the asked node's draining is: the fields of `DrainState`."""

    phase: DrainPhase
    records: int = 0
    unproven: int = 0
    copies: int = 0
    journal: int = 0
    problem: str = ""
    still_s: float = 0.0
    missing: tuple[Missing, ...] = ()
    peers: tuple[Withheld, ...] = ()
    events: tuple[Missing, ...] = ()


class OkToStop(Request, frozen=True, kw_only=True, tag=31):
    """May this node be stopped now? Nothing is done. Answered by `StopAdvice`."""

    node: str
    """Its name."""


class StopAdvice(Answer, frozen=True, kw_only=True, tag=31):
    """Whether it may."""

    node: str
    ok: bool
    reasons: tuple[str, ...] = ()
    """Why not."""


class GetSubscriber(Request, frozen=True, kw_only=True, tag=28):
    """What is in force of a subscriber? Answered by `SubscriberInForce`."""

    aor: str


class SubscriberInForce(Answer, frozen=True, kw_only=True, tag=28):
    """A subscriber as it is stored."""

    version: int = 0
    """0: there has never been one of this name."""
    removed: bool = False
    record: Subscriber | None = None
    """All of it, so that the operator can sign a changed copy; None when there is none."""


class PutRevocations(Request, frozen=True, kw_only=True, tag=29):
    """A revocation list that the operator signed, for the whole farm. Answered by `Done`."""

    body: bytes
    """As `overlay.identity.revocations` encodes it."""


class GetSettings(Request, frozen=True, kw_only=True, tag=40):
    """What is decided for the whole farm? Answered by `SettingsInForce`."""


class SettingsInForce(Answer, frozen=True, kw_only=True, tag=40):
    """The farm's settings."""

    body: bytes
    """As `overlay.records.settings` encodes them."""


class PutSettings(Request, frozen=True, kw_only=True, tag=41):
    """Settings that the operator signed, for the whole farm. Answered by `Done`."""

    body: bytes
    """As `overlay.records.settings` encodes them."""


class LoginFailed(Request, frozen=True, kw_only=True, tag=50):
    """Somebody did not prove to be this subscriber. Answered by `Done`."""

    aor: str
    address: str


class ListLockouts(Request, frozen=True, kw_only=True, tag=51):
    """Who is locked out. Answered by `LockoutsAre`."""


class LockedOut(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Who guessed too many passwords."""

    aor: str
    """Empty: anybody from that address."""
    address: str
    left_s: int


class LockoutsAre(Answer, frozen=True, kw_only=True, tag=51):
    """As the asked node knows them."""

    lockouts: tuple[LockedOut, ...]


class EndLockout(Request, frozen=True, kw_only=True, tag=52):
    """Let them in again, on every node. Answered by `Done`."""

    aor: str
    address: str


class AskGateways(Request, frozen=True, kw_only=True, tag=42):
    """What do the gateways of this trunk say to the asked node? Answered by `GatewaysSaid`."""

    name: str


class GatewaysSaid(Answer, frozen=True, kw_only=True, tag=42):
    """An answer for each gateway; none: there is no such trunk."""

    node: str
    gateways: tuple[GatewayAnswer, ...]


class ClaimCall(Request, frozen=True, kw_only=True, tag=60):
    """May this subscriber have one more call at a time? Answered by `CallClaimed`; again with the
    same answer when the INVITE is repeated."""

    aor: str
    call_id: str
    from_tag: str
    cseq: int
    calls_max: int


class CallClaimed(Answer, frozen=True, kw_only=True, tag=60):
    """He may, or may not."""

    granted: bool
    calls: int = 0
    """As many as are counted now."""


class ReleaseCall(Request, frozen=True, kw_only=True, tag=61):
    """A claimed INVITE was refused: there is no call. Answered by `Done`."""

    aor: str
    call_id: str
    from_tag: str
    cseq: int


Requests = (
    Locate
    | Authenticate
    | Register
    | WriteEvent
    | GetStatus
    | GetLocation
    | ListCalls
    | ListCopies
    | ShowCall
    | PutSubscriber
    | ListSubscribers
    | Leave
    | Withdraw
    | GetSubscriber
    | PutRevocations
    | Drain
    | OkToStop
    | GetSettings
    | PutSettings
    | AskGateways
    | LoginFailed
    | ListLockouts
    | EndLockout
    | ClaimCall
    | ReleaseCall
)
Answers = (
    Refused
    | Located
    | Secrets
    | Registered
    | Written
    | Status
    | Location
    | Calls
    | Copies
    | Subscribers
    | Done
    | SubscriberInForce
    | Drained
    | StopAdvice
    | SettingsInForce
    | GatewaysSaid
    | LockoutsAre
    | CallClaimed
)

encode = msgspec.msgpack.Encoder().encode
decode_request = decoding.msgpack(Requests)
decode_answer = decoding.msgpack(Answers)
