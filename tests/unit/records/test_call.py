"""Merge laws and ids of call events."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.records import call
from overlay.records.call import CallEvent, CallEvents, EventKind


@st.composite
def event_sets(draw: st.DrawFn) -> CallEvents:
    kinds = draw(st.lists(st.sampled_from(EventKind), max_size=4))
    return call.merge(
        [
            CallEvent(
                kind=kind,
                event_id=call.event_id(kind, "c", "a", "b"),
                call_id="c",
                from_tag="a",
                to_tag="b",
                time_us=draw(st.integers(1, 3)),
                node=draw(st.sampled_from(["n1", "n2"])),
            )
            for kind in kinds
        ],
        (),
    )


@given(event_sets(), event_sets())
def test_merge_commutes(one: CallEvents, two: CallEvents) -> None:
    assert call.merge(one, two) == call.merge(two, one)


@given(event_sets(), event_sets(), event_sets())
def test_merge_associates(one: CallEvents, two: CallEvents, three: CallEvents) -> None:
    assert call.merge(call.merge(one, two), three) == call.merge(one, call.merge(two, three))


@given(event_sets(), event_sets())
def test_merge_is_idempotent_and_keeps_an_event_once(one: CallEvents, two: CallEvents) -> None:
    merged = call.merge(one, two)
    assert call.merge(merged, two) == merged
    assert len({event.event_id for event in merged}) == len(merged)


@given(event_sets())
def test_encoding_keeps_everything(events: CallEvents) -> None:
    assert tuple(call.decode(call.encode(event)) for event in events) == events


@given(st.text(), st.text(), st.text())
def test_either_side_of_a_dialog_makes_the_same_id(call_id: str, one: str, two: str) -> None:
    forth = call.event_id(EventKind.STOP, call_id, one, two)
    assert forth == call.event_id(EventKind.STOP, call_id, two, one)
    assert len(forth) == 20


def test_ids_tell_kinds_calls_and_dialogs_apart() -> None:
    ids = {
        call.event_id(EventKind.START, "c", "a", "b"),
        call.event_id(EventKind.STOP, "c", "a", "b"),
        call.event_id(EventKind.START, "d", "a", "b"),
        call.event_id(EventKind.START, "c", "a", "x"),
        call.event_id(EventKind.INTERIM, "c", "a", "b", "2"),
    }
    assert len(ids) == 5
