"""When Kamailio counts as away, and when it is back."""

import pytest

from overlay.kamailio.watch import (
    ASK_AGAIN_S,
    ASK_EVERY_S,
    BUSY_MISSES_MAX,
    LATE_S,
    MISSES_MAX,
    RETURNS_MAX,
    RETURNS_WITHIN_S,
    STEADY_S,
    WITHDRAWN_S_MAX,
    KamailioWatch,
)


class Play:
    """A watch and its clock."""

    def __init__(self) -> None:
        self.watch = KamailioWatch()
        self.now_s = 100.0

    def turn(self, *, answered: bool, working: bool = False, late_s: float = 0.0) -> None:
        """One question, and its answer at once, or none; then time until the next is due."""
        self.watch.ask(self.now_s, working=working)
        if answered:
            self.watch.answered(self.now_s + 0.001)
        self.now_s += (ASK_EVERY_S if answered else ASK_AGAIN_S) + late_s

    def turns(self, count: int, *, answered: bool, working: bool = False) -> None:
        for _ in range(count):
            self.turn(answered=answered, working=working)

    def gone(self) -> None:
        """It dies and the network says so."""
        self.watch.ask(self.now_s, working=False)
        self.watch.unreachable("connection refused")
        self.now_s += ASK_AGAIN_S


@pytest.fixture
def here() -> Play:
    """One that answers."""
    play = Play()
    play.turn(answered=True)
    assert not play.watch.away
    return play


def test_it_is_away_until_its_first_answer() -> None:
    play = Play()
    assert play.watch.away
    play.turns(10, answered=False)
    assert play.watch.away
    play.turn(answered=True)
    assert not play.watch.away


def test_nothing_listening_is_away_at_once_and_one_answer_is_back(here: Play) -> None:
    here.gone()
    assert here.watch.away == "no answer to OPTIONS: connection refused"
    here.turn(answered=True)
    assert not here.watch.away


def test_it_takes_several_unanswered_questions(here: Play) -> None:
    here.turns(MISSES_MAX, answered=False)
    assert not here.watch.away
    here.turn(answered=False)
    assert here.watch.away == "no answer to OPTIONS for 0.6 s"


def test_an_answer_in_between_begins_the_count_anew(here: Play) -> None:
    for _ in range(5):
        here.turns(MISSES_MAX - 1, answered=False)
        here.turn(answered=True)
        assert not here.watch.away


def test_a_late_answer_to_an_earlier_question_counts(here: Play) -> None:
    here.turns(MISSES_MAX, answered=False)
    here.watch.answered(here.now_s - 0.01)
    here.turn(answered=False)
    assert not here.watch.away


def test_an_asker_that_was_frozen_concludes_nothing(here: Play) -> None:
    for _ in range(20):
        here.turn(answered=False, late_s=LATE_S + 0.5)
    assert not here.watch.away
    here.turns(MISSES_MAX + 1, answered=False)
    assert here.watch.away


def test_busy_workers_have_longer_but_not_for_ever(here: Play) -> None:
    here.turns(BUSY_MISSES_MAX, answered=False, working=True)
    assert not here.watch.away
    here.turn(answered=False, working=True)
    assert here.watch.away == "no answer to OPTIONS for 5.0 s"


def test_once_they_do_nothing_they_have_as_long_as_any(here: Play) -> None:
    here.turns(10, answered=False, working=True)
    here.turns(MISSES_MAX - 1, answered=False)
    assert not here.watch.away
    here.turn(answered=False)
    assert here.watch.away


def test_one_that_comes_back_again_and_again_has_to_stay_first() -> None:
    play = Play()
    for _ in range(1 + RETURNS_MAX):
        play.turn(answered=True)
        assert not play.watch.away
        play.gone()
    play.turn(answered=True)
    assert play.watch.away == "it came back 3 times lately: it has to answer for a while"
    play.turns(round(STEADY_S / ASK_EVERY_S) + 1, answered=True)
    assert not play.watch.away


def test_the_time_that_it_has_to_stay_begins_anew_with_every_miss() -> None:
    play = Play()
    for _ in range(1 + RETURNS_MAX):
        play.turn(answered=True)
        play.gone()
    for _ in range(3):
        play.turns(round(STEADY_S / ASK_EVERY_S) - 1, answered=True)
        play.turns(2, answered=False)
        assert play.watch.away


def test_earlier_returns_are_forgotten() -> None:
    play = Play()
    for _ in range(3 * RETURNS_MAX):
        play.turn(answered=True)
        assert not play.watch.away
        play.gone()
        play.now_s += RETURNS_WITHIN_S / RETURNS_MAX


def test_one_that_is_withdrawn_is_away_until_it_has_gone_and_come_back(here: Play) -> None:
    here.watch.withdraw(here.now_s)
    assert here.watch.away == "it is about to be stopped"
    here.turns(5, answered=True)
    assert here.watch.away
    here.gone()
    here.turn(answered=True)
    assert not here.watch.away


def test_one_that_is_withdrawn_and_falls_silent_may_come_back(here: Play) -> None:
    here.watch.withdraw(here.now_s)
    here.turns(MISSES_MAX + 1, answered=False)
    here.turn(answered=True)
    assert not here.watch.away


def test_one_that_is_withdrawn_and_stays_counts_again_after_a_while(here: Play) -> None:
    here.watch.withdraw(here.now_s)
    here.now_s += WITHDRAWN_S_MAX
    here.turn(answered=True)
    assert not here.watch.away
