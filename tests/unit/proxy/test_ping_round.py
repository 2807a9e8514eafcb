"""When phones are pinged: each once a round, spread evenly."""

from collections import Counter

import pytest

from proxy.ping_round import PER_S_MAX, SLICES_MAX, PingRound, slice_of, slices


@pytest.mark.parametrize("round_s", [1, 7, 30, 100])
def test_each_slice_is_due_once_a_round_at_the_same_second(round_s: int) -> None:
    pings = PingRound(round_s)
    first = [list(pings.tick()) for _ in range(round_s)]
    due = sorted(each for second in first for each in second)
    assert due == list(range(min(round_s, SLICES_MAX)))
    assert [list(pings.tick()) for _ in range(round_s)] == first
    assert max(map(len, first)) == 1, "evenly"


def test_phones_are_spread_over_the_slices() -> None:
    found = Counter(slice_of(f"192.0.2.{n % 250}:{n}", 30) for n in range(30_000))
    assert len(found) == slices(30)
    assert max(found.values()) < 1.3 * 1_000


def test_phones_are_due_once_and_no_more_than_may_be_sent() -> None:
    pings = PingRound(30)
    pings.add(0, {f"192.0.2.1:{n}": "sip:a@h" for n in range(PER_S_MAX + 5)}, ())
    assert len(pings.due()) == PER_S_MAX
    assert len(pings.due()) == 5
    assert pings.due() == []


def test_who_answered_and_no_longer_does_is_counted_once() -> None:
    pings, phones = PingRound(30), {"a:1": "sip:a@h", "b:1": "sip:b@h"}
    assert pings.add(3, phones, ()) == 0, "nobody has answered yet"
    assert pings.add(3, phones, {"a:1"}) == 0
    assert pings.add(4, {}, ()) == 0, "another slice"
    assert pings.add(3, phones, ()) == 1
    assert pings.add(3, phones, ()) == 0


def test_who_went_is_not_silent() -> None:
    pings = PingRound(30)
    pings.add(3, {"a:1": "sip:a@h"}, {"a:1"})
    assert pings.add(3, {}, ()) == 0
