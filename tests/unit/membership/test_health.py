"""A node doubts its own health before that of others: the score, and what raises it."""

from overlay.membership.health import LocalHealth, overslept


def test_the_score_has_two_ends() -> None:
    health = LocalHealth(4)
    health.better()
    assert health.factor == 1
    for _ in range(9):
        health.worse(2)
    assert health.factor == 5
    health.better()
    assert health.factor == 4


def test_a_timer_that_is_a_little_late_is_no_sign() -> None:
    assert not overslept(1.0, 1.1, 0.15)
    assert overslept(1.0, 1.2, 0.15)
