"""Which calls have not ended, and since when that is suspicious."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from overlay.base import limit_hits
from overlay.billing.closer import closing
from overlay.billing.open_calls import ENDS_REMEMBERED_MAX, OpenCalls
from overlay.config.sections import BillingSection
from overlay.records.assemble import assemble
from overlay.records.call import CallEvent, EventKind, event_id

S = 1_000_000
SETTINGS = BillingSection(close_grace_s=60, call_max_s=43_200)
KEY = b"k" * 20


def event(kind: EventKind, at_s: int, session_s: int = 0, tags: str = "ab") -> CallEvent:
    """An event of the one call."""
    unique = str(at_s) if kind is EventKind.INTERIM else ""
    return CallEvent(
        kind=kind,
        event_id=event_id(kind, "c", tags[0], tags[1], unique),
        call_id="c",
        from_tag=tags[0],
        to_tag=tags[1],
        time_us=at_s * S,
        session_s=session_s,
    )


def calls() -> OpenCalls:
    """None so far."""
    return OpenCalls(grace_s=60, longest_s=43_200, calls_max=3)


def test_a_call_that_is_refreshed_is_overdue_when_a_refresh_is() -> None:
    known = calls()
    known.saw(KEY, event(EventKind.START, 100, session_s=1_800))
    assert known.overdue((100 + 1_860) * S - 1) == []
    assert known.overdue((100 + 1_860) * S) == [KEY]
    assert known.overdue(2**62) == []


def test_each_refresh_puts_it_off() -> None:
    known = calls()
    for at_s, kind in ((100, EventKind.START), (1_000, EventKind.INTERIM)):
        known.saw(KEY, event(kind, at_s, session_s=1_800))
    known.saw(KEY, event(EventKind.INTERIM, 500, session_s=1_800))
    assert known.overdue((100 + 1_860) * S) == []
    assert known.overdue((1_000 + 1_860) * S) == [KEY]


def test_a_call_that_nobody_refreshes_may_last_for_the_longest_time() -> None:
    known = calls()
    known.saw(KEY, event(EventKind.START, 100))
    assert known.overdue((100 + 43_200) * S - 1) == []
    assert known.overdue((100 + 43_200) * S) == [KEY]


def test_an_end_is_the_end_in_any_order() -> None:
    for order in ((EventKind.START, EventKind.STOP), (EventKind.STOP, EventKind.START)):
        known = calls()
        for kind in order:
            known.saw(KEY, event(kind, 100))
        assert len(known) == 0
        assert known.overdue(2**62) == []


@given(st.permutations([*range(4), 0, 1]))
def test_what_is_told_again_does_not_open_what_has_ended(order: list[int]) -> None:
    """A repair, or a proxy, tells of events again, in any order and without what came later."""
    told = [
        event(EventKind.START, 100, session_s=1_800),
        event(EventKind.INTERIM, 1_000, session_s=1_800),
        replace(event(EventKind.START, 1_000), kind=EventKind.CLOSED),
        event(EventKind.STOP, 1_100),
    ]
    known = calls()
    for number in order:
        known.saw(KEY, told[number])
    assert len(known) == 0
    # Where only its start was closed, a repetition of the start opens nothing either.
    known = calls()
    for each in (told[0], replace(told[0], kind=EventKind.CLOSED), told[0]):
        known.saw(KEY, each)
    assert len(known) == 0


def test_an_end_that_is_forgotten_is_looked_up_before_the_call_counts() -> None:
    known = calls()
    ends_s = range(100, 101 + ENDS_REMEMBERED_MAX)
    for at_s in ends_s:
        known.saw(KEY, event(EventKind.STOP, at_s, tags=f"a{chr(at_s)}"))
    first, last = (f"a{chr(at_s)}" for at_s in (ends_s[0], ends_s[-1]))
    # It began before an end that was forgotten: that may have been its own.
    known.saw(KEY, event(EventKind.START, 50, tags=first))
    known.saw(KEY, event(EventKind.START, 50, tags=last))
    assert (len(known), known.doubtful(10)) == (0, [KEY])
    known.settle(KEY, [event(kind, 50, tags=first) for kind in (EventKind.START, EventKind.STOP)])
    assert (len(known), known.doubtful(10)) == (0, [])
    # One that began since cannot have.
    known.saw(KEY, event(EventKind.START, 102, tags="xy"))
    assert (len(known), known.doubtful(10)) == (1, [])


def test_a_refresh_without_a_start_is_looked_up_and_is_no_call() -> None:
    known = calls()
    refresh = event(EventKind.INTERIM, 1_000, session_s=1_800)
    known.saw(KEY, refresh)
    assert (len(known), known.doubtful(10)) == (0, [KEY])
    known.settle(KEY, [refresh])
    assert (len(known), known.overdue(2**62)) == (0, [])
    known.saw(KEY, refresh)
    start = event(EventKind.START, 100, session_s=1_800)
    known.settle(KEY, [start, refresh])
    assert len(known) == 1
    assert known.overdue((1_000 + 1_860) * S - 1) == []
    assert known.overdue((1_000 + 1_860) * S) == [KEY]


def test_a_call_that_others_keep_does_not_count_and_is_not_lost() -> None:
    known = calls()
    known.saw(KEY, event(EventKind.START, 100, session_s=90))
    known.sort(10, lambda key: False)
    assert len(known) == 0
    assert known.overdue(2**62) == [KEY]
    known.again(KEY, 1_000 * S, 30)
    known.sort(10, lambda key: True)
    assert len(known) == 1
    known.sort(10, lambda key: False)
    known.saw(KEY, event(EventKind.STOP, 160))
    assert (len(known), known.overdue(2**62)) == (0, [])
    known.saw(KEY, event(EventKind.START, 100, tags="xy"))
    assert len(known) == 1


def test_a_call_of_which_nothing_is_left_is_forgotten() -> None:
    known = calls()
    known.saw(KEY, event(EventKind.START, 100))
    known.settle(KEY, [])
    assert (len(known), known.overdue(2**62)) == (0, [])


def test_a_refresh_opens_what_was_closed_too_early() -> None:
    known = calls()
    known.saw(KEY, event(EventKind.START, 100, session_s=90))
    known.saw(KEY, replace(event(EventKind.START, 100), kind=EventKind.CLOSED))
    assert len(known) == 0
    known.saw(KEY, event(EventKind.INTERIM, 400, session_s=90))
    assert known.overdue(2**62) == [KEY]


def test_what_another_node_should_have_done_is_looked_at_again() -> None:
    known = calls()
    known.saw(KEY, event(EventKind.START, 100, session_s=90))
    now_us = 1_000 * S
    assert known.overdue(now_us) == [KEY]
    known.again(KEY, now_us, 30)
    assert known.overdue(now_us + 30 * S - 1) == []
    assert known.overdue(now_us + 30 * S) == [KEY]


def test_there_is_a_bound() -> None:
    known, before = calls(), limit_hits.counted().get("OPEN_CALLS_MAX", 0)
    for number in range(5):
        known.saw(bytes([number]) * 20, event(EventKind.START, 100))
    assert len(known) == 3
    assert limit_hits.counted()["OPEN_CALLS_MAX"] == before + 2


def test_a_closed_call_ends_with_its_last_proof_of_life() -> None:
    events = [
        event(EventKind.START, 100, session_s=1_800),
        event(EventKind.INTERIM, 1_000, session_s=1_800),
    ]
    assert closing(events, 2_000 * S, SETTINGS) is None
    closed = closing(events, 3_000 * S, SETTINGS)
    assert closed is not None
    (record,) = assemble([*events, closed])
    assert (record.state, record.cause, record.duration_ms) == ("closed", "lost-bye", 900_000)
    assert record.hangup == ""


def test_a_late_bye_corrects_the_record() -> None:
    events = [event(EventKind.START, 100, session_s=90)]
    closed = closing(events, 1_000 * S, SETTINGS)
    assert closed is not None
    (record,) = assemble([*events, closed, event(EventKind.STOP, 160)])
    assert (record.state, record.cause, record.duration_ms) == ("complete", "bye", 60_000)


def test_a_late_refresh_makes_it_open_again() -> None:
    events = [event(EventKind.START, 100, session_s=90)]
    closed = closing(events, 1_000 * S, SETTINGS)
    assert closed is not None
    late = event(EventKind.INTERIM, 500, session_s=90)
    (record,) = assemble([*events, closed, late])
    assert record.state == "open"
    again = closing([*events, closed, late], 1_000 * S, SETTINGS)
    assert again is not None
    (record,) = assemble([*events, closed, late, again])
    assert (record.state, record.duration_ms) == ("closed", 400_000)


proofs = st.lists(
    st.builds(
        lambda at_s, session_s: event(EventKind.INTERIM, at_s, session_s),
        st.integers(101, 100_000),
        st.sampled_from([0, 90, 1_800]),
    ),
    max_size=5,
    # A set of events has each once.
    unique_by=lambda each: each.event_id,
)


@given(proofs, st.integers(0, 200_000), st.randoms())
def test_two_closers_write_the_same_event_and_never_bill_too_much(
    refreshes: list[CallEvent], now_s: int, order: object
) -> None:
    events = [event(EventKind.START, 100, session_s=1_800), *refreshes]
    one = closing(events, now_s * S, SETTINGS)
    two = closing(list(reversed(events)), (now_s + 7) * S, SETTINGS)
    if one is None:
        return
    assert two == one
    (record,) = assemble([*events, one])
    assert record.end_us == max(each.time_us for each in events)
    assert closing([*events, one], now_s * S, SETTINGS) is None
