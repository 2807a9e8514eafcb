"""Call events: taken from the messages that start and end a call, and safe before those go on.

In: the 2xx to an initial INVITE, and the BYE. Out: `WriteEvent` to the daemon, and whether the
event is safe. Counterpart: `overlay.replication`.

If the event is not safe, the message is dropped. Its sender repeats it, and the next attempt, on
any node, writes the same event. Session refreshes and refusals are written as well, but never held
back.

The time of an event is the time at which its message first came. So nobody pays for the seconds in
which this node could not write, nor for the time that a write takes.
"""

import time
from typing import Final

from overlay.base.limits import HEADER_CHARS_MAX, URI_CHARS_MAX
from overlay.records.call import CallEvent, EventKind, event_id
from proxy import counters, sip_uri
from proxy.call_note import CallNote
from proxy.routes import fields
from proxy.worker import Worker

REMEMBERED_MAX: Final = 8_192
"""Events that a worker knows to be safe, so that it does not write a retransmission's event
again."""
_TRIED: Final = "tried"
"""Table of this node's events that could not be written, with the microsecond of their message. Its
entries outlive the retransmissions of a 2xx or BYE, 32 s (RFC 3261 13.3.1.4 and 17.1.2.2)."""
_OF_MESSAGE: Final = fields.VariableGroup(
    "$tt", "$fu", "$tu", "$pr", "$si", "$sp", "$hdr(User-Agent)"
)
_OF_REPLY: Final = fields.VariableGroup("$ct", "$hdr(Server)")
_OF_BYE: Final = fields.VariableGroup("$ou", "$hdr(Reason)")
_OF_REPLIES: Final = frozenset({EventKind.START, EventKind.ATTEMPT})
NO_NOTE: Final = CallNote()
UNWRITABLE_S: Final = 2.0
"""How long new calls count as unbillable after a failed write; then one call is let through."""


def write_start(
    worker: Worker,
    call_id: str,
    from_tag: str,
    session_s: int,
    trunk: str = "",
    note: CallNote = NO_NOTE,
) -> bool:
    """Whether the START of the call that this 2xx answers is safe."""
    if not worker.settings.config.billing.enabled:
        return True
    return _write(
        worker, EventKind.START, call_id, from_tag, session_s=session_s, trunk=trunk, note=note
    )


def write_interim(
    worker: Worker, call_id: str, from_tag: str, session_s: int, note: CallNote = NO_NOTE
) -> None:
    """Write INTERIM for a session refresh (RFC 4028): the call goes on. The refresh is never held
    back, as the next one tells the same."""
    if worker.settings.config.billing.enabled:
        unique = f"{from_tag}:{worker.ksr.pv.get('$cs')}"
        _write(
            worker,
            EventKind.INTERIM,
            call_id,
            from_tag,
            unique=unique,
            session_s=session_s,
            note=note,
        )


def write_attempt(worker: Worker, call_id: str, from_tag: str, note: CallNote = NO_NOTE) -> None:
    """Write ATTEMPT for a call that this answer refuses. The answer goes on, whether it was written
    or not."""
    billing = worker.settings.config.billing
    if billing.enabled and billing.attempts:
        unique = str(worker.ksr.pv.get("$cs"))
        _write(worker, EventKind.ATTEMPT, call_id, from_tag, unique=unique, note=note)


def write_stop(
    worker: Worker, call_id: str, from_tag: str, trunk: str = "", note: CallNote = NO_NOTE
) -> bool:
    """Whether the STOP of the call that this BYE ends is safe."""
    if not worker.settings.config.billing.enabled:
        return True
    return _write(worker, EventKind.STOP, call_id, from_tag, trunk=trunk, note=note)


def writable(worker: Worker) -> bool:
    """Whether, as far as this worker knows, the next event could be written."""
    if not worker.settings.config.billing.enabled:
        return True
    return not worker.overlay.out_of_reach and worker.clock() >= worker.unwritable_until_s


def _write(
    worker: Worker,
    kind: EventKind,
    call_id: str,
    from_tag: str,
    *,
    unique: str = "",
    session_s: int = 0,
    trunk: str = "",
    note: CallNote = NO_NOTE,
) -> bool:
    to_tag, from_uri, to_uri, protocol, address, port, agent = _OF_MESSAGE.read(worker)
    identity = event_id(kind, call_id, from_tag, to_tag, unique)
    if identity in worker.events_safe:
        worker.count(counters.EVENTS_REPEATED)
        return True
    htable, tried = worker.ksr.htable, identity.hex()
    first_us = htable.sht_get(_TRIED, tried)
    time_us = int(first_us) if first_us else time.time_ns() // 1000
    is_stop, is_reply = kind is EventKind.STOP, kind in _OF_REPLIES
    source = f"{sip_uri.bracketed(address)}:{port}"
    contact = request_uri = reason = ""
    if is_reply:
        contact, server = _OF_REPLY.read(worker)
        agent = agent or server
    elif is_stop:
        request_uri, reason = _OF_BYE.read(worker)
    event = CallEvent(
        kind=kind,
        event_id=identity,
        call_id=call_id[:HEADER_CHARS_MAX],
        from_tag=from_tag[:HEADER_CHARS_MAX],
        to_tag=to_tag[:HEADER_CHARS_MAX],
        time_us=time_us,
        code=worker.ksr.kx.get_status() if is_reply else 0,
        from_uri=from_uri[:URI_CHARS_MAX],
        to_uri=to_uri[:URI_CHARS_MAX],
        request_uri=request_uri[:URI_CHARS_MAX] if is_stop else note.dialled,
        contact=sip_uri.of_name_address(contact)[:URI_CHARS_MAX],
        source=source,
        user_agent=agent[:HEADER_CHARS_MAX],
        reason=reason[:HEADER_CHARS_MAX],
        session_s=session_s,
        trunk=trunk,
        subscriber=note.subscriber,
        asserted=note.asserted,
        routed_uri=note.routed,
        origin=note.source,
        destination=f"{protocol}:{source}" if is_reply else "",
    )
    if not worker.overlay.write(event, worker.settings.event_deadline_s):
        worker.unwritable_until_s = worker.clock() + UNWRITABLE_S
        if not first_us:
            htable.sht_sets(_TRIED, tried, str(time_us))
        return False
    worker.unwritable_until_s = 0.0
    worker.count(counters.EVENTS_WRITTEN)
    if len(worker.events_safe) >= REMEMBERED_MAX:
        del worker.events_safe[next(iter(worker.events_safe))]
    worker.events_safe[identity] = None
    return True
