"""Call records: the grow-only set of events from which a billing record is assembled.

In: events that proxies take from messages. Out: sets that merge by union. Counterpart:
`overlay.records.assemble` makes the billing record of a set.

An event's id is made of the message alone. So a retransmission is the same event, and so is the
same message at another node. Of two versions of one event the earlier is kept: the node that saw
the message first was nearest to the moment at which it was sent.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import IntEnum, StrEnum
from hashlib import sha1

import msgspec

from overlay.base import decoding
from overlay.base.joined import joined


class EventKind(IntEnum):
    """What happened to the call. The number stands in frames and on disk, and never changes."""

    START = 1
    """A 2xx answered the initial INVITE."""
    INTERIM = 2
    """A session refresh showed that the call lives."""
    STOP = 3
    """A BYE ended the call."""
    ATTEMPT = 4
    """A final failure answered the initial INVITE."""
    EXPORTED = 5
    """A sink has the record as it was then. `from_tag` names the sink, `to_tag` the record."""
    CLOSED = 6
    """No BYE came, and no message of the call since `time_us`, its last proof of life."""
    CHAINED = 7
    """Not an event of a call: a block of events that a node wrote and signed
    (`overlay.billing.chain`)."""


class Level(StrEnum):
    """How safe a write was when it was acknowledged."""

    QUORUM = "quorum"
    """On the disks of W nodes."""
    JOURNAL = "journal"
    """On the disk of the node that wrote it, and perhaps on no other."""


class CallEvent(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One thing that happened to one call, as a message showed it."""

    kind: EventKind
    event_id: bytes
    """20 bytes that `event_id` makes."""
    call_id: str
    from_tag: str
    """The tag of the message's From header: the caller's in START, that of the side that hung up in
    STOP."""
    to_tag: str
    time_us: int
    """Unix time in us, by the clock of the node that saw the message."""
    node: str = ""
    """That node's name. Its daemon fills this in."""
    changed: int = 0
    """The hybrid logical clock of the write. The daemon fills this in."""
    code: int = 0
    """The status code, of START and ATTEMPT."""
    from_uri: str = ""
    to_uri: str = ""
    request_uri: str = ""
    """The Request-URI as it was dialled; of STOP, that of the BYE."""
    contact: str = ""
    source: str = ""
    """`address:port` that the message came from."""
    user_agent: str = ""
    reason: str = ""
    """The Reason header (RFC 3326) of a BYE."""
    level: str = ""
    """A `Level`. The node that writes the event fills it in."""
    session_s: int = 0
    """The Session-Expires (RFC 4028) of START and INTERIM, in s: after that long without a refresh,
    the call is dead. 0: nobody refreshes the call."""
    trunk: str = ""
    """The name of the trunk that the call came from or went to."""
    proof: bytes = b""
    """The signed block of CHAINED."""
    subscriber: str = ""
    """The address-of-record that the caller proved by a password; empty if none was proved."""
    asserted: str = ""
    """The P-Asserted-Identity (RFC 3325) of the INVITE as a URI. The farm or a trusted peer
    asserted it. It is kept even if the caller wants privacy."""
    routed_uri: str = ""
    """The Request-URI with which the INVITE went on, on the branch that was answered."""
    origin: str = ""
    """`transport:address:port` that the INVITE came from."""
    destination: str = ""
    """`transport:address:port` that the answer to the INVITE came from."""


CHAINED_FROM = b"\xff" * 8
"""The first bytes of the ids of CHAINED, and of no other events. Code that looks for blocks, or
passes them by, compares these."""
PROOFS_OF_LIFE = (EventKind.START, EventKind.INTERIM)
BEGINNINGS = (EventKind.START, EventKind.ATTEMPT)
"""Events of calls that may have no other event yet."""


CallEvents = tuple[CallEvent, ...]
"""Events of one Call-ID, sorted by `event_id`, each id once."""

_encoder = msgspec.msgpack.Encoder()
_decode: Callable[[bytes | memoryview], CallEvent] = decoding.msgpack(CallEvent)


def encode(event: CallEvent) -> bytes:
    """The event's bytes, as they are stored and sent."""
    return _encoder.encode(event)


def decode(data: bytes | memoryview) -> CallEvent:
    """The event that `encode` made these bytes of. Raises `msgspec.MsgspecError` for anything
    else."""
    return _decode(data)


def readable(bodies: Iterable[bytes]) -> tuple[CallEvent, ...]:
    """The events among these that this version understands. An event of a later version is left out
    and hides no others."""
    events = []
    for body in bodies:
        with suppress(msgspec.MsgspecError):
            events.append(decode(body))
    return tuple(events)


def event_id(kind: EventKind, call_id: str, from_tag: str, to_tag: str, unique: str = "") -> bytes:
    """The id of an event: SHA-1 over its kind, its dialog, and `unique`, which distinguishes two
    events of one kind.

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
