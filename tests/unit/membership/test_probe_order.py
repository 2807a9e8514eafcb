"""Every member is probed once a round."""

import random

from hypothesis import given
from hypothesis import strategies as st

from overlay.membership.probe_order import BY_CHANCE, ProbeOrder, Turns


def ids(count: int) -> list[bytes]:
    return [bytes([n]) * 20 for n in range(count)]


@given(st.integers(1, 20), st.integers(0, 1 << 32))
def test_everybody_has_one_turn_a_round(count: int, seed: int) -> None:
    order = ProbeOrder(random.Random(seed))
    for _ in range(3):
        assert sorted(str(order.next(ids(count))) for _ in range(count)) == sorted(
            str(each) for each in ids(count)
        )


@given(st.integers(2, 20), st.integers(0, 1 << 32))
def test_a_newcomer_and_a_goner_do_not_disturb_the_round(count: int, seed: int) -> None:
    order = ProbeOrder(random.Random(seed))
    first = order.next(ids(count - 1))
    turns = [order.next(ids(count)[1:]) for _ in range(2 * count)]
    assert first in ids(count - 1)
    assert set(turns) == set(ids(count)[1:])


def test_nobody_is_nobody() -> None:
    order = ProbeOrder(random.Random(1))
    assert order.next([]) is None
    assert order.several([], 3) == []


@given(st.integers(0, 10), st.integers(1, 12), st.integers(0, 1 << 32))
def test_several_are_different_ones(present: int, count: int, seed: int) -> None:
    chosen = ProbeOrder(random.Random(seed)).several(ids(present), count)
    assert len(set(chosen)) == len(chosen) <= min(present, count)
    assert bool(chosen) == bool(present)


@given(st.integers(2, 40), st.integers(0, 1 << 40))
def test_in_each_turn_everybody_probes_one_and_is_probed_by_one(count: int, turn: int) -> None:
    farm = ids(count)
    probed = [Turns(own, 250).whom(turn, [i for i in farm if i != own]) for own in farm]
    assert sorted(map(str, probed)) == sorted(map(str, farm))
    assert all(one != other for one, other in zip(farm, probed, strict=True))


@given(st.integers(2, 40), st.integers(0, 1 << 40))
def test_in_a_round_of_turns_each_probes_everybody(count: int, turn: int) -> None:
    own, *others = ids(count)
    turns = Turns(own, 250)
    probed = [turns.whom(number, others) for number in range(turn, turn + count - 1)]
    assert sorted(map(str, probed)) == sorted(map(str, others))


@given(st.integers(0, 1 << 50), st.integers(1, 5_000), st.integers(-3, 3))
def test_a_timer_that_is_early_or_late_takes_each_turn_once(
    now_ms: int, interval_ms: int, late_ms: int
) -> None:
    turns = Turns(b"1" * 20, interval_ms)
    if 2 * abs(late_ms) >= interval_ms:
        return
    first = turns.number(now_ms)
    then_ms = now_ms + round(1000 * turns.pause_s(now_ms)) + late_ms
    assert turns.number(then_ms) == first + 1
    assert 0 < turns.pause_s(now_ms) <= 1.5 * interval_ms / 1000


def test_who_is_alone_probes_nobody() -> None:
    assert Turns(b"1" * 20, 250).whom(7, []) is None


def test_by_chance_turns_are_frequent_enough_whatever_the_farms_size() -> None:
    for peers in (8, 50, 1_000):
        round_turns = peers * BY_CHANCE
        # Each peer's turn is at a random place of its round.
        nobody_within = (1 - min(1.0, 1.6 / round_turns)) ** peers
        assert nobody_within <= 0.02, peers
