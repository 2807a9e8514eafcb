"""Makes billing records of call events: a pure function of their set.

In: the events of one Call-ID, in any order. Out: one billing record for each dialog. Counterparts:
`overlay.replication.events` keeps the set; the CLI and the exports show the records.
"""

from collections.abc import Iterable

from overlay.records.billed import DESCRIPTION, DescribedColumn
from overlay.records.call import PROOFS_OF_LIFE, CallEvent, EventKind
from overlay.records.call_record import CallRecord
from overlay.records.names import aor_of_uri


def assemble(events: Iterable[CallEvent], replicas: tuple[str, ...] = ()) -> list[CallRecord]:
    """The records of all dialogs among `events`, ordered by the time of the answer, or of the end
    if there was no answer. `replicas` are the names of the nodes that hold the events.

    A forked call that was answered twice has two dialogs; their tags tell them apart (RFC 3261 12).
    """
    dialogs: dict[tuple[str, frozenset[str]], list[CallEvent]] = {}
    for event in events:
        if event.kind is EventKind.EXPORTED:
            continue
        dialog = (event.call_id, frozenset((event.from_tag, event.to_tag)))
        dialogs.setdefault(dialog, []).append(event)
    records = [_record(sorted(found, key=_order), replicas) for found in dialogs.values()]
    return sorted(records, key=lambda record: (record.answer_us or record.end_us, record.to_tag))


def involves(record: CallRecord, aor: str) -> bool:
    """Whether the address-of-record is the caller's, the callee's or that of the account that was
    used."""
    sides = (aor_of_uri(uri) for uri in (record.caller, record.callee))
    return aor == record.subscriber or aor in sides


def _order(event: CallEvent) -> tuple[int, bytes]:
    return (event.time_us, event.event_id)


def _record(events: list[CallEvent], replicas: tuple[str, ...]) -> CallRecord:
    start = next((e for e in events if e.kind is EventKind.START), None)
    stop = next((e for e in events if e.kind is EventKind.STOP), None)
    failed = next((e for e in events if e.kind is EventKind.ATTEMPT), None)
    closed = _closed(events)
    told = start or failed or stop or events[0]
    answer_us = start.time_us if start else 0
    end = stop or (closed if start else failed)
    end_us = end.time_us if end else 0
    caller, callee = told.from_uri, told.to_uri
    from_tag, to_tag = told.from_tag, told.to_tag
    return CallRecord(
        call_id=told.call_id,
        state=_state(start, stop, failed, closed),
        caller=caller,
        callee=callee,
        request_uri=told.request_uri,
        from_tag=from_tag,
        to_tag=to_tag,
        answer_us=answer_us,
        end_us=end_us,
        duration_ms=max(0, end_us - answer_us + 500) // 1000 if start and end else 0,
        hangup=_hangup(start, stop),
        code=start.code if start else failed.code if failed else 0,
        nodes=tuple(dict.fromkeys(event.node for event in events)),
        replicas=replicas,
        levels=tuple(event.level for event in events),
        event_ids=tuple(event.event_id.hex() for event in events),
        cause=_cause(start, stop, failed, closed),
        reason=stop.reason if stop else "",
        **{name: _said(column, start, failed, stop) for name, column in DESCRIPTION.items()},
    )


def _said(column: DescribedColumn, *events: CallEvent | None) -> str:
    """The column's text: that of the first of these events that has one."""
    told = (event for event in events if event is not None and event.kind in column.said_by)
    return next(filter(None, (getattr(event, column.event) for event in told)), "")


def last_proof_us(events: Iterable[CallEvent]) -> int:
    """When the call was last known to live, as Unix time in us; 0 if it never was."""
    return max((e.time_us for e in events if e.kind in PROOFS_OF_LIFE), default=0)


def _closed(events: list[CallEvent]) -> CallEvent | None:
    """The closing that no later proof of life has overtaken; None if there is none."""
    proof_us = last_proof_us(events)
    closings = (e for e in events if e.kind is EventKind.CLOSED and e.time_us >= proof_us)
    return next(closings, None)


def _state(
    start: CallEvent | None,
    stop: CallEvent | None,
    failed: CallEvent | None,
    closed: CallEvent | None,
) -> str:
    if start:
        return "complete" if stop else "closed" if closed else "open"
    if failed:
        return "failed"
    return "orphan"


def _cause(
    start: CallEvent | None,
    stop: CallEvent | None,
    failed: CallEvent | None,
    closed: CallEvent | None,
) -> str:
    if stop:
        return "bye"
    if start:
        return "lost-bye" if closed else ""
    return "refused" if failed else ""


def _hangup(start: CallEvent | None, stop: CallEvent | None) -> str:
    if start is None or stop is None:
        return ""
    return "caller" if stop.from_tag == start.from_tag else "callee"
