"""What nodes say to each other of records: registrations, calls, subscribers, claims.

Counterparts: `overlay.replication` asks and answers; `overlay.control.local` answers lists.
"""

from typing import Annotated

import msgspec

from overlay.links.peer_protocol import Capability, PeerReply, PeerRequest
from overlay.records.claim import Claim, Heard
from overlay.records.node_info import Key


class Stored(PeerReply, frozen=True, kw_only=True, tag=9):
    """It is merged, and on disk if its kind asks for that; `body` is the record if unexpected."""

    body: bytes = b""


class Store(PeerRequest, frozen=True, kw_only=True, tag=8):
    """Merge this into the record under `key`. Answered by `Stored` when it is safe."""

    answered_by = Stored

    kind: int
    key: Key
    body: bytes
    expected: bytes = b""
    """Digest of the merged record that the sender expects; it is sent back only if it differs."""


class StoreMany(PeerRequest, frozen=True, kw_only=True, tag=23):
    """Merge these into the records under their keys. Answered by `Ack` when they are safe."""

    kind: int
    records: tuple[tuple[Key, bytes], ...]
    """Keys and bodies."""


class Fetched(PeerReply, frozen=True, kw_only=True, tag=11):
    """The record; empty bodies: none here. A call has a body an event, others have one."""

    bodies: tuple[bytes, ...] = ()
    lease_ms: int = 0
    """The lease that was granted."""


class Fetch(PeerRequest, frozen=True, kw_only=True, tag=10):
    """Read a record."""

    answered_by = Fetched

    kind: int
    key: Key
    lease_ms: int = 0
    """Above 0: tell me of changes for so long."""


class Changed(PeerRequest, frozen=True, kw_only=True, tag=12):
    """A record that you hold a lease on is now this."""

    kind: int
    key: Key
    body: bytes


class Wanted(PeerReply, frozen=True, kw_only=True, tag=16):
    """The keys of those that the answerer lacks or has otherwise."""

    keys: tuple[Key, ...]


class Offer(PeerRequest, frozen=True, kw_only=True, tag=15):
    """These records should be at your place too."""

    answered_by = Wanted

    kind: int
    records: tuple[tuple[Key, bytes], ...]
    """Keys and digests."""


class RegisteredAt(PeerReply, frozen=True, kw_only=True, tag=14):
    """A control `Registered`."""

    body: bytes


class RegisterAt(PeerRequest, frozen=True, kw_only=True, tag=13):
    """A REGISTER for a record that the receiver is a replica of."""

    answered_by = RegisteredAt

    body: bytes
    """A control `Register`."""


class CallsAt(PeerReply, frozen=True, kw_only=True, tag=18):
    """Calls in order of (time of an event, key), each with all its events."""

    rows: tuple[tuple[int, bytes, tuple[bytes, ...]], ...]
    more: bool


class ListCallsAt(PeerRequest, frozen=True, kw_only=True, tag=17):
    """Calls that the receiver holds, by time."""

    answered_by = CallsAt

    after_us: int
    after_key: bytes
    until_us: int
    limit: int
    chained: bool = False
    """Not calls, but signed blocks (`overlay.billing.chain`); older nodes tell of calls."""
    aor: str = ""
    """Only calls that it has a part in; older nodes tell of all."""


class SubscribersAt(PeerReply, frozen=True, kw_only=True, tag=20):
    """Names of subscribers in order."""

    bodies: tuple[bytes, ...]
    more: bool


class ListSubscribersAt(PeerRequest, frozen=True, kw_only=True, tag=19):
    """Subscribers that the receiver holds, by name."""

    answered_by = SubscribersAt

    after: str
    limit: int


class ClaimedAt(PeerReply, frozen=True, kw_only=True, tag=61):
    """He may, or may not."""

    granted: bool
    calls: int
    """As many as are counted now."""


class ClaimAt(PeerRequest, frozen=True, kw_only=True, tag=60):
    """May this subscriber have one more call?"""

    answered_by = ClaimedAt
    needs = Capability.CLAIMS

    key: Key
    """Of the subscriber's record."""
    call: Key
    """`overlay.records.claim.claim_id`."""
    call_key: Key
    """Of the call's record."""
    cseq: int
    """Of the INVITE."""
    calls_max: Annotated[int, msgspec.Meta(ge=1)]


class ReleaseAt(PeerRequest, frozen=True, kw_only=True, tag=62):
    """A call that was granted will not be."""

    needs = Capability.CLAIMS

    key: Key
    call: Key
    cseq: int


class ShareClaims(PeerRequest, frozen=True, kw_only=True, tag=63):
    """Claims of a subscriber that the receiver is a replica of."""

    needs = Capability.CLAIMS

    key: Key
    claims: tuple[Claim, ...]


class CallsHeard(PeerReply, frozen=True, kw_only=True, tag=65):
    """For each of the calls, in order."""

    heard: tuple[Heard, ...]


class AskCalls(PeerRequest, frozen=True, kw_only=True, tag=64):
    """What have you heard of these calls?"""

    answered_by = CallsHeard
    needs = Capability.CLAIMS

    calls: tuple[tuple[Key, Key], ...]
    """Claimed call and key of its record, each."""
