"""Billing records are made from sets of events."""

import itertools

from overlay.records import call
from overlay.records.assemble import assemble, involves
from overlay.records.call import CallEvent, EventKind


def event(
    kind: EventKind, time_us: int, from_tag: str = "a", to_tag: str = "b", **more: object
) -> CallEvent:
    fields: dict[str, object] = {
        "from_uri": "sip:bob@farm.test",
        "to_uri": "sip:alice@farm.test",
        "node": "n1",
        **more,
    }
    return CallEvent(
        kind=kind,
        event_id=call.event_id(kind, "c", from_tag, to_tag),
        call_id="c",
        from_tag=from_tag,
        to_tag=to_tag,
        time_us=time_us,
        **fields,  # type: ignore[arg-type]
    )


START = event(EventKind.START, 1_000_000, code=200)
STOP = event(EventKind.STOP, 3_500_600, node="n3")


def test_a_call_that_was_answered_and_ended_is_complete_in_any_order() -> None:
    for events in itertools.permutations([START, STOP]):
        (record,) = assemble(events, ("n1", "n2"))
        assert (record.state, record.duration_ms, record.hangup) == ("complete", 2501, "caller")
        assert record.nodes == ("n1", "n3")
        assert record.replicas == ("n1", "n2")
        assert (record.caller, record.callee) == ("sip:bob@farm.test", "sip:alice@farm.test")


def test_who_hung_up_is_told_by_the_tag_of_the_bye() -> None:
    bye = event(EventKind.STOP, 2_000_000, from_tag="b", to_tag="a", from_uri="sip:alice@farm.test")
    (record,) = assemble([START, bye])
    assert record.hangup == "callee"
    assert record.caller == "sip:bob@farm.test"


def test_without_a_stop_the_call_is_open_and_has_no_duration() -> None:
    (record,) = assemble([START])
    assert (record.state, record.duration_ms, record.end_us) == ("open", 0, 0)


def test_a_stop_alone_is_an_orphan_and_is_never_billed() -> None:
    (record,) = assemble([STOP])
    assert (record.state, record.duration_ms) == ("orphan", 0)


def test_a_clock_that_went_back_makes_no_negative_duration() -> None:
    (record,) = assemble([START, event(EventKind.STOP, 500)])
    assert record.duration_ms == 0


def test_two_forks_that_both_answered_are_two_records() -> None:
    other = event(EventKind.START, 1_100_000, to_tag="x", code=200)
    records = assemble([STOP, other, START])
    assert [record.state for record in records] == ["complete", "open"]


def test_a_failed_attempt_is_told_with_its_code() -> None:
    (record,) = assemble([event(EventKind.ATTEMPT, 5, code=486)])
    assert (record.state, record.code) == ("failed", 486)


def test_calls_are_found_by_either_party() -> None:
    (record,) = assemble([START])
    assert involves(record, "alice@farm.test")
    assert involves(record, "bob@farm.test")
    assert not involves(record, "eve@farm.test")
