"""Rows for the sinks' tests."""

from random import Random

from hypothesis import strategies as st

from overlay.billing.assemble import assemble
from overlay.billing.columns import Row, row_of
from overlay.records.call import CallEvent, EventKind


def _long(seed: int) -> str:
    chance = Random(seed)
    return "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(20_000))


_NUMBERS = st.integers(-(2**63), 2**63 - 1)
_TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=40),
    st.sampled_from(("=1+1", "\0", "a\r\nb", '"', "\x1b[2J", "'); DROP TABLE cdr; --", "\u202e")),
    # Long, and not to be compressed.
    st.sampled_from(tuple(map(_long, range(3)))),
)
EVENTS = st.builds(
    CallEvent,
    kind=st.sampled_from(EventKind),
    event_id=st.binary(min_size=20, max_size=20),
    call_id=_TEXTS,
    from_tag=st.sampled_from(("a", "b", "=c")),
    to_tag=st.sampled_from(("a", "b", "=c")),
    time_us=_NUMBERS,
    node=_TEXTS,
    changed=_NUMBERS,
    code=_NUMBERS,
    from_uri=_TEXTS,
    to_uri=_TEXTS,
    request_uri=_TEXTS,
    reason=_TEXTS,
    level=_TEXTS,
    session_s=_NUMBERS,
    trunk=_TEXTS,
    proof=st.binary(max_size=20),
)
"""What a peer, or whoever owns a disk, may have among the events of calls."""


def rows_of(events: list[CallEvent]) -> list[Row]:
    """All rows that these events make, as they are exported."""
    return list({row.id: row for row in map(row_of, assemble(events))}.values())


def row(number: int, revision: int = 2, caller: str = "sip:bob@farm.test") -> Row:
    """A complete call."""
    return Row(
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
