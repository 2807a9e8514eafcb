"""Makes rows for the tests of the sinks."""

from random import Random
from typing import Any

import msgspec
from hypothesis import strategies as st

from overlay.billing.columns import BilledRow, row_of
from overlay.records.assemble import assemble
from overlay.records.call import CallEvent, EventKind


def _long(seed: int) -> str:
    chance = Random(seed)
    return "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(20_000))


_NUMBERS = st.integers(-(2**63), 2**63 - 1)
_HOSTILE = st.sampled_from(
    (
        *("=1+1", '=HYPERLINK("http://x")', "+49301234567", "-1", "@x", "\t=1", "\r=1"),
        *("\0", "a\r\nb", '"', "\x1b[2J", "'); DROP TABLE cdr; --", "\u202e", "{}", "\\"),
        # The longest that four bytes a character, or JSON's escapes, make of it.
        *("\U0001f600" * 2_000, '"\\' * 2_000),
        # Long, and not to be compressed.
        *map(_long, range(3)),
    )
)
_TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=40),
    _HOSTILE,
)
_OF_TYPES: dict[object, st.SearchStrategy[Any]] = {
    EventKind: st.sampled_from(EventKind),
    bytes: st.binary(max_size=20),
    int: _NUMBERS,
    str: _TEXTS,
}
_FIELDS = {field.name: field.type for field in msgspec.structs.fields(CallEvent)}
_STRATEGIES = {name: _OF_TYPES[kind] for name, kind in _FIELDS.items()} | {
    "event_id": st.binary(min_size=20, max_size=20),
    # Few, so that events meet in one dialog.
    **dict.fromkeys(("from_tag", "to_tag"), st.sampled_from(("a", "b", "=c"))),
}
EVENTS = st.builds(CallEvent, **_STRATEGIES)
"""Events that a peer, or the owner of a disk, may have put among the events of calls. Every field
is filled by its type, so that a new field is hostile without a line here."""


@st.composite
def hostile_rows(draw: st.DrawFn) -> BilledRow:
    """The row of a complete call of which every text is hostile."""
    # One text in all fields is the worst for what has a bound.
    everywhere = draw(st.none() | _HOSTILE)
    names = [name for name, kind in _FIELDS.items() if kind is str]
    texts: dict[str, Any] = {name: everywhere or draw(_HOSTILE) for name in names}
    start, stop = (
        CallEvent(kind=kind, event_id=bytes([kind] * 20), time_us=kind * 1_000_000, **texts)
        for kind in (EventKind.START, EventKind.STOP)
    )
    (made,) = rows_of([start, stop])
    return made


def rows_of(events: list[CallEvent]) -> list[BilledRow]:
    """All rows that these events make, as they are exported."""
    return list({row.id: row for row in map(row_of, assemble(events))}.values())


def row(number: int, revision: int = 2, caller: str = "sip:bob@farm.test") -> BilledRow:
    """A complete call."""
    return BilledRow(
        id=f"{number:032x}",
        revision=revision,
        state="complete",
        callid=f"call-{number}",
        from_tag="f",
        to_tag="t",
        caller=caller,
        callee="sip:alice@farm.test",
        request_uri="sip:alice@farm.test",
        start_time="2026-01-02T03:04:05.000006Z",
        end_time="2026-01-02T03:05:06.000006Z",
        duration="61.000",
        hangup="caller",
        cause="bye",
        reason="",
        sip_code=200,
        nodes="n1 n2",
        event_ids="01 02",
    )
