"""How long a suspect has to answer, as a function of how many nodes suspect it."""

import math

from hypothesis import given
from hypothesis import strategies as st

from overlay.membership.suspicion import Patience, Suspicion

PATIENCE = Patience(min_s=0.25, max_factor=4, confirmations=3)


def ids(count: int) -> list[bytes]:
    return [bytes([n]) * 20 for n in range(count)]


def test_each_confirmation_shortens_the_wait_by_lifeguards_formula() -> None:
    suspicion = Suspicion(PATIENCE, 9, b"a", 10.0)
    waits = [suspicion.timeout_s]
    for origin in ids(3):
        assert suspicion.confirm(origin)
        waits.append(suspicion.timeout_s)
    assert waits[0] == 1.0
    assert math.isclose(waits[1], 1.0 - 0.75 * math.log(2) / math.log(4))
    assert waits[3] == 0.25
    assert suspicion.until_s == 10.25
    assert not suspicion.confirm(b"z" * 20), "more than expected change nothing"


def test_nobody_confirms_twice() -> None:
    suspicion = Suspicion(PATIENCE, 9, b"a", 0.0)
    assert not suspicion.confirm(b"a")
    assert suspicion.confirm(b"b")
    assert not suspicion.confirm(b"b")


def test_where_nobody_else_can_confirm_the_wait_is_short() -> None:
    assert Suspicion(PATIENCE, 2, b"a", 0.0).timeout_s == 0.25


def test_a_large_farm_waits_longer() -> None:
    assert PATIENCE.bounds_s(1_000) == (0.75, 3.0)


@given(st.integers(2, 2_000), st.integers(0, 20))
def test_the_wait_stays_within_its_bounds_and_only_shrinks(nodes: int, confirming: int) -> None:
    suspicion = Suspicion(PATIENCE, nodes, b"a", 0.0)
    shortest, longest = PATIENCE.bounds_s(nodes)
    before = suspicion.timeout_s
    for origin in ids(confirming):
        suspicion.confirm(origin)
        assert shortest <= suspicion.timeout_s <= before <= longest
        before = suspicion.timeout_s
    suspicion.press()
    assert suspicion.timeout_s == shortest
