"""Shows a billing record as one line for people.

In: records. Out: cells. Counterparts: `cdr.py` makes tables of them, `cdr_tail.py` lines.
"""

from typing import Final

from overlay.cli import output, table
from overlay.records.call_record import CallRecord

HEADER: Final = ("TIME", "STATE", "DURATION", "CALLER", "CALLEE", "HANGUP", "CODE", "CALL-ID")


def row(call: CallRecord) -> tuple[table.Cell, ...]:
    """The cells under `HEADER`."""
    return (
        output.time_of(call.answer_us or call.end_us),
        call.state,
        output.duration_of(call.duration_ms) if call.answer_us and call.end_us else None,
        call.caller,
        call.callee,
        call.hangup,
        str(call.code) if call.code else None,
        call.call_id,
    )
