"""The rows of billing records."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from overlay.billing.columns import COLUMNS, TEXT_BYTES_MAX, BilledRow, record_id, row_of
from overlay.records.billed import FREE
from overlay.records.call_record import CallRecord

from .sinks.rows import hostile_rows

RECORD = CallRecord(
    call_id="abc",
    state="complete",
    caller="sip:bob@farm.test",
    callee="sip:alice@farm.test",
    request_uri="sip:alice@farm.test",
    from_tag="f",
    to_tag="t",
    answer_us=1_700_000_000_123_456,
    end_us=1_700_000_061_128_456,
    duration_ms=61_005,
    hangup="caller",
    code=200,
    nodes=("n2", "n3"),
    replicas=("n1", "n2"),
    levels=("quorum", "quorum"),
    event_ids=("01", "02"),
)


def test_a_row() -> None:
    row = row_of(RECORD)
    assert (row.start_time, row.end_time) == (
        "2023-11-14T22:13:20.123456Z",
        "2023-11-14T22:14:21.128456Z",
    )
    assert (row.duration, row.nodes, row.revision) == ("61.005", "n2 n3", 2)


def test_the_id_is_the_dialogs() -> None:
    other_way = replace(RECORD, from_tag="t", to_tag="f")
    later = replace(RECORD, event_ids=("01",), state="open", replicas=())
    assert record_id(RECORD) == record_id(other_way) == record_id(later)
    assert record_id(RECORD) != record_id(replace(RECORD, to_tag="u"))


def test_times_that_cannot_be_are_left_out() -> None:
    assert row_of(replace(RECORD, end_us=2**62)).end_time == ""
    assert row_of(replace(RECORD, answer_us=0)).start_time == ""


def test_what_no_sink_could_store_is_cut() -> None:
    row = row_of(replace(RECORD, call_id="é" * 5_000, code=2**40, duration_ms=2**62, trunk="\0"))
    assert len(row.callid.encode()) == 2_000
    assert (row.sip_code, row.duration, row.trunk) == (0, "999999999.999", "?")
    assert record_id(RECORD) != row.id
    assert row_of(replace(RECORD, answer_us=-61_000_000_000_000_000)).start_time.startswith("0036-")


@given(hostile_rows())
def test_every_text_of_a_row_is_one_that_sinks_store(row: BilledRow) -> None:
    for name, column in COLUMNS.items():
        if column.kind in FREE:
            text = getattr(row, name)
            assert text.isprintable()
            assert 0 < len(text.encode()) <= TEXT_BYTES_MAX


@given(st.text(), st.text(), st.text(), st.integers(-(2**63), 2**63 - 1))
def test_hostile_fields_become_harmless(call_id: str, caller: str, tag: str, time_us: int) -> None:
    record = replace(RECORD, call_id=call_id, caller=caller, from_tag=tag, answer_us=time_us)
    row = row_of(record)
    for value in (row.callid, row.caller, row.from_tag, row.start_time):
        assert value.isprintable()
        value.encode()
    assert isinstance(row, BilledRow)
