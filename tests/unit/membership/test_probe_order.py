"""Everybody has a turn each round."""

import random

from hypothesis import given
from hypothesis import strategies as st

from overlay.membership.probe_order import ProbeOrder, pause_s


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


def test_probes_are_frequent_enough_whatever_the_farms_size() -> None:
    for peers in (1, 2, 3, 8, 50, 1_000):
        round_s = peers * pause_s(0.1, peers)
        # Each peer's turn is at a random place of its round.
        nobody_within = (1 - min(1.0, 0.4 / round_s)) ** peers
        assert nobody_within <= 0.02, peers
