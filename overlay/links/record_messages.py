"""The messages between nodes about records: registrations, calls, subscribers, claims.

Counterparts: `overlay.replication` asks and answers; `overlay.control.local` answers the lists.
"""

from typing import Annotated

import msgspec

from overlay.links.peer_protocol import Capability, PeerReply, PeerRequest
from overlay.records.claim import Claim, Heard
from overlay.records.node_info import Key


class Stored(PeerReply, frozen=True, kw_only=True, tag=9):
    """The record is merged, and is on disk if its kind demands that. `body` is the merged record if
    it is not the one that the sender expected."""

    body: bytes = b""


class Store(PeerRequest, frozen=True, kw_only=True, tag=8):
    """Asks the receiver to merge this into the record under `key`. Answered by `Stored` once it is
    safe."""

    answered_by = Stored

    kind: int
    key: Key
    body: bytes
    expected: bytes = b""
    """Digest of the merged record that the sender expects. The record is sent back only if it
    differs."""


class StoreMany(PeerRequest, frozen=True, kw_only=True, tag=23):
    """Asks the receiver to merge these into the records under their keys. Answered by `Ack` once
    all of them are safe."""

    kind: int
    records: tuple[tuple[Key, bytes], ...]
    """Keys and bodies."""


class Fetched(PeerReply, frozen=True, kw_only=True, tag=11):
    """The record, as bodies; none if the answerer has no such record. A call has one body for each
    event, any other record has one body."""

    bodies: tuple[bytes, ...] = ()
    lease_ms: int = 0
    """The lease that the answerer granted."""


class Fetch(PeerRequest, frozen=True, kw_only=True, tag=10):
    """Reads a record. Answered by `Fetched`."""

    answered_by = Fetched

    kind: int
    key: Key
    lease_ms: int = 0
    """Above 0: the sender wants to hear of changes for so long."""


class Changed(PeerRequest, frozen=True, kw_only=True, tag=12):
    """A record that the receiver holds a lease on has changed to this."""

    kind: int
    key: Key
    body: bytes


class Wanted(PeerReply, frozen=True, kw_only=True, tag=16):
    """The keys of the offered records that the answerer lacks or has in another version."""

    keys: tuple[Key, ...]


class Offer(PeerRequest, frozen=True, kw_only=True, tag=15):
    """Names records that the receiver should hold too. Answered by `Wanted`."""

    answered_by = Wanted

    kind: int
    records: tuple[tuple[Key, bytes], ...]
    """Keys and digests."""


class RegisteredAt(PeerReply, frozen=True, kw_only=True, tag=14):
    """The result of a REGISTER, as `register_bodies` encodes it."""

    body: bytes


class RegisterAt(PeerRequest, frozen=True, kw_only=True, tag=13):
    """A REGISTER for a record of which the receiver is a replica."""

    answered_by = RegisteredAt

    body: bytes
    """The REGISTER, as `register_bodies` encodes it."""


class CallsAt(PeerReply, frozen=True, kw_only=True, tag=18):
    """Calls in order of (time of an event, key), each with all its events."""

    rows: tuple[tuple[int, bytes, tuple[bytes, ...]], ...]
    more: bool


class ListCallsAt(PeerRequest, frozen=True, kw_only=True, tag=17):
    """Asks for the calls that the receiver holds, by time."""

    answered_by = CallsAt

    after_us: int
    after_key: bytes
    until_us: int
    limit: int
    chained: bool = False
    """Asks for signed blocks (`overlay.billing.chain`) instead of calls. Older nodes answer with
    calls."""
    aor: str = ""
    """Only calls in which this address-of-record takes part. Older nodes answer with all calls."""


class SubscribersAt(PeerReply, frozen=True, kw_only=True, tag=20):
    """Names of subscribers in order."""

    bodies: tuple[bytes, ...]
    more: bool


class ListSubscribersAt(PeerRequest, frozen=True, kw_only=True, tag=19):
    """Asks for the subscribers that the receiver holds, by name."""

    answered_by = SubscribersAt

    after: str
    limit: int


class ClaimedAt(PeerReply, frozen=True, kw_only=True, tag=61):
    """Whether the subscriber may have one more call."""

    granted: bool
    calls: int
    """The number of calls that count now."""


class ClaimAt(PeerRequest, frozen=True, kw_only=True, tag=60):
    """Asks whether this subscriber may have one more call. Answered by `ClaimedAt`."""

    answered_by = ClaimedAt
    needs = Capability.CLAIMS

    key: Key
    """Key of the subscriber's record."""
    call: Key
    """The claim's id, as `overlay.records.claim.claim_id` makes it."""
    call_key: Key
    """Key of the call's record."""
    cseq: int
    """CSeq of the INVITE."""
    calls_max: Annotated[int, msgspec.Meta(ge=1)]


class ReleaseAt(PeerRequest, frozen=True, kw_only=True, tag=62):
    """A call for which a claim was granted will not take place."""

    needs = Capability.CLAIMS

    key: Key
    call: Key
    cseq: int


class ShareClaims(PeerRequest, frozen=True, kw_only=True, tag=63):
    """Claims of a subscriber of whom the receiver is a replica."""

    needs = Capability.CLAIMS

    key: Key
    claims: tuple[Claim, ...]


class CallsHeard(PeerReply, frozen=True, kw_only=True, tag=65):
    """What the answerer has heard of each of the calls, in the order in which they were asked."""

    heard: tuple[Heard, ...]


class AskCalls(PeerRequest, frozen=True, kw_only=True, tag=64):
    """Asks what the receiver has heard of these calls. Answered by `CallsHeard`."""

    answered_by = CallsHeard
    needs = Capability.CLAIMS

    calls: tuple[tuple[Key, Key], ...]
    """For each call: the claimed call, and the key of its record."""
