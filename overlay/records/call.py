"""Call records: the grow-only set of events from which a billing record is assembled.

In: events that proxies take from messages. Out: sets that merge by union. Counterpart:
`overlay.records.assemble` makes the billing record of a set.

An event's id is made from the message alone, so that a retransmission, or the same message seen by
another node, is the same event. Of two versions of one event the earlier is kept: the first node
that saw the message was nearest to the moment it happened.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import IntEnum, StrEnum
from hashlib import sha1

import msgspec

from overlay.base import decoding
from overlay.base.joined import joined


class EventKind(IntEnum):
    """What happened to the call; the number stands in frames and on disk and never changes."""

    START = 1
    """A 2xx answered the initial INVITE."""
    INTERIM = 2
    """Proof of life: a session refresh."""
    STOP = 3
    """A BYE ended the call."""
    ATTEMPT = 4
    """A final failure answered the initial INVITE."""
    EXPORTED = 5
    """A sink has the record as it was: `from_tag` names the sink, `to_tag` the record."""
    CLOSED = 6
    """No BYE came, and nothing was heard of the call since `time_us`, its last proof of life."""
    CHAINED = 7
    """Not of a call: what a node wrote, signed by it (`overlay.billing.chain`)."""


class Level(StrEnum):
    """How safe a write was when it was acknowledged."""

    QUORUM = "quorum"
    """On the disks of W nodes."""
    JOURNAL = "journal"
    """On the disk of the node that wrote it."""


class CallEvent(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One thing that happened to one call, as the message told it."""

    kind: EventKind
    event_id: bytes
    """20 bytes of `event_id`."""
    call_id: str
    from_tag: str
    """Tag of the message's From header: the caller's in START, who hung up in STOP."""
    to_tag: str
    time_us: int
    """Unix time in us by the clock of the node that saw the message."""
    node: str = ""
    """That node's name; filled in by its daemon."""
    changed: int = 0
    """Hybrid logical clock; filled in by its daemon."""
    code: int = 0
    """Status code of START and ATTEMPT."""
    from_uri: str = ""
    to_uri: str = ""
    request_uri: str = ""
    """As dialled; of STOP, the BYE's."""
    contact: str = ""
    source: str = ""
    """`address:port` that the message came from."""
    user_agent: str = ""
    reason: str = ""
    """Reason header (RFC 3326) of a BYE."""
    level: str = ""
    """A `Level`; filled in by the node that writes."""
    session_s: int = 0
    """Session-Expires (RFC 4028) of START and INTERIM: after so long without a refresh the call is
    dead. 0: nobody refreshes it."""
    trunk: str = ""
    """Name of the trunk that the call came from or went to."""
    proof: bytes = b""
    """The signed block of CHAINED."""
    subscriber: str = ""
    """Address-of-record of the caller, as he proved it by his password; empty if nobody did."""
    asserted: str = ""
    """P-Asserted-Identity (RFC 3325) of the INVITE as a URI: the farm's word, or a trusted peer's.
    Of a caller who wants privacy as well."""
    routed_uri: str = ""
    """Request-URI with which the INVITE went on, of the branch that was answered."""
    origin: str = ""
    """`transport:address:port` that the INVITE came from."""
    destination: str = ""
    """`transport:address:port` that its answer came from."""


CHAINED_FROM = b"\xff" * 8
"""How ids of CHAINED begin, and no others do: where one looks for the former, or passes them by."""
PROOFS_OF_LIFE = (EventKind.START, EventKind.INTERIM)
BEGINNINGS = (EventKind.START, EventKind.ATTEMPT)
"""Events of calls that may have none yet."""


CallEvents = tuple[CallEvent, ...]
"""Events of one Call-ID, sorted by `event_id`, each id once."""

_encoder = msgspec.msgpack.Encoder()
_decode: Callable[[bytes | memoryview], CallEvent] = decoding.msgpack(CallEvent)


def encode(event: CallEvent) -> bytes:
    """The event as stored and sent."""
    return _encoder.encode(event)


def decode(data: bytes | memoryview) -> CallEvent:
    """The event of `encode`; raises `msgspec.MsgspecError` on anything else."""
    return _decode(data)


def readable(bodies: Iterable[bytes]) -> tuple[CallEvent, ...]:
    """The events among these that this version knows, so that one of a later version hides no
    others."""
    events = []
    for body in bodies:
        with suppress(msgspec.MsgspecError):
            events.append(decode(body))
    return tuple(events)


def event_id(kind: EventKind, call_id: str, from_tag: str, to_tag: str, unique: str = "") -> bytes:
    """The id of an event: SHA-1 over its kind, the dialog and what tells two of a kind apart.

    The tags are sorted, so that a BYE from either side is the one STOP of its dialog.
    """
    low, high = sorted((from_tag, to_tag))
    return sha1(joined(str(int(kind)), call_id, low, high, unique)).digest()


def earlier(one: CallEvent, two: CallEvent) -> CallEvent:
    """Which of two versions of the same event is kept."""
    if one == two:
        return one
    return min(one, two, key=lambda event: (event.time_us, encode(event)))


def merge(one: Iterable[CallEvent], two: Iterable[CallEvent]) -> CallEvents:
    """The union of two sets of events."""
    merged: dict[bytes, CallEvent] = {}
    for event in (*one, *two):
        mine = merged.get(event.event_id)
        merged[event.event_id] = event if mine is None else earlier(mine, event)
    return tuple(merged[key] for key in sorted(merged))
