"""A billing record as it leaves the farm: flat columns, the same in every sink.

In: records of `overlay.records.assemble`. Out: `BilledRow`s. Counterparts: the sinks. Columns that
mean the same as a column of Kamailio's acc module have its name (`callid`, `from_tag`, `to_tag`,
`sip_code`, `start_time`, `end_time`, `duration`). So a program that reads acc's tables can read
these.
"""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Final

from overlay.base.joined import joined
from overlay.records.billed import DESCRIPTION, CallDescription, Column, Kind, columns_of
from overlay.records.call_record import CallRecord

TEXT_BYTES_MAX: Final = 2_000
"""PostgreSQL refuses a text longer than a third of a page, 2,704 bytes, in an index."""
DURATION_MS_MAX: Final = 10**12 - 1
"""31 years: `numeric(12, 3)` in seconds."""
FINAL_STATES: Final = frozenset({"complete", "failed", "closed"})
"""The states of records that wait for nothing."""


_Word = Annotated[str, Column(kind=Kind.WORD, since="0.1.0")]
_Name = Annotated[str, Column(kind=Kind.NAME, since="0.1.0")]
_Text = Annotated[str, Column(kind=Kind.TEXT, since="0.1.0")]
_Number = Annotated[int, Column(kind=Kind.NUMBER, since="0.1.0")]
_Time = Annotated[str, Column(kind=Kind.TIME, since="0.1.0")]
_Seconds = Annotated[str, Column(kind=Kind.SECONDS, since="0.1.0")]


class BilledRow(CallDescription, frozen=True):
    """One dialog. The fields are the columns, in this order, followed by those that describe the
    call."""

    id: _Word
    """The record's id, which never changes: 32 hex digits, made of the dialog."""
    revision: _Number
    """The number of events in the record. If two rows have one id, the higher revision is right."""
    state: _Word
    callid: _Name
    from_tag: _Name
    to_tag: _Name
    caller: _Text
    callee: _Text
    request_uri: _Text
    start_time: _Time
    """When the call was answered: UTC, `YYYY-MM-DDTHH:MM:SS.ffffffZ`; empty if it was not."""
    end_time: _Time
    duration: _Seconds
    """Seconds from answer to end."""
    hangup: _Word
    cause: _Word
    """`bye`, `lost-bye` (the call ended with its last proof of life), `refused`."""
    reason: _Text
    """Reason header field of the BYE."""
    sip_code: _Number
    nodes: _Text
    """The nodes that wrote the record's events, with a space between them."""
    event_ids: _Word


COLUMNS: Final = columns_of(BilledRow)
"""The table from which every sink derives: the names in order, and what each column holds."""


def row_of(record: CallRecord) -> BilledRow:
    """The record's row. Every sink can store it, whatever the record's events contain."""
    duration_ms = min(record.duration_ms, DURATION_MS_MAX)
    return BilledRow(
        id=record_id(record),
        revision=len(record.event_ids),
        state=record.state,
        callid=_clean(record.call_id),
        from_tag=_clean(record.from_tag),
        to_tag=_clean(record.to_tag),
        caller=_clean(record.caller),
        callee=_clean(record.callee),
        request_uri=_clean(record.request_uri),
        start_time=_moment(record.answer_us),
        end_time=_moment(record.end_us),
        duration=f"{duration_ms // 1000}.{duration_ms % 1000:03d}",
        hangup=record.hangup,
        cause=record.cause,
        reason=_clean(record.reason),
        sip_code=record.code if 0 <= record.code <= 999 else 0,
        nodes=" ".join(map(_clean, record.nodes)),
        event_ids=" ".join(record.event_ids),
        **{name: _clean(getattr(record, name)) for name in DESCRIPTION},
    )


def record_id(record: CallRecord) -> str:
    """The id of a dialog's record, the same on every node, in every export and in every
    revision."""
    tags = sorted((record.from_tag, record.to_tag))
    return sha256(joined(record.call_id, *tags)).hexdigest()[:32]


def _moment(time_us: int) -> str:
    if not time_us:
        return ""
    try:
        seconds = datetime.fromtimestamp(time_us // 1_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        # A clock that is centuries off is no reason to lose the record.
        return ""
    # With strftime, the year 33 would have two digits.
    return f"{seconds.replace(tzinfo=None).isoformat()}.{time_us % 1_000_000:06d}Z"


def _clean(text: str) -> str:
    """Text that every sink can store.

    It has no NUL, no lone surrogates and no other control characters, and is not longer than an
    index takes.
    """
    encoded = text.encode("utf-8", "replace")[:TEXT_BYTES_MAX].decode("utf-8", "ignore")
    return "".join(character if character.isprintable() else "?" for character in encoded)
