"""When the load's phones send a message again."""

from collections.abc import Callable
from typing import cast

import pytest

from tests.sip import timers
from tests.sip.wire import Repeat, Wire

NODE = ("192.0.2.1", 5060)


class Clock:
    """A wire without sockets, and its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        self._due: list[tuple[float, Callable[[], None]]] = []
        self.sent_s: list[float] = []
        self.gave_up_s: list[float] = []
        monkeypatch.setattr("tests.sip.wire.time.monotonic", lambda: self.now_s)

    def at(self, due_s: float, work: Callable[[], None]) -> None:
        self._due.append((due_s, work))

    def run(self, until_s: float) -> None:
        while self._due and self._due[0][0] <= until_s:
            self.now_s, work = self._due.pop(0)
            work()

    def repeat(self, longest_s: float = timers.T2_S) -> Repeat:
        return Repeat(
            cast(Wire, self),
            "text",
            NODE,
            lambda _text, _to: self.sent_s.append(self.now_s - 100.0),
            lambda: self.gave_up_s.append(self.now_s - 100.0),
            longest_s=longest_s,
        )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_others_are_repeated_up_to_every_four_seconds(clock: Clock) -> None:
    clock.repeat()
    clock.run(1_000.0)
    assert clock.sent_s == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert clock.gave_up_s == [35.5], "the first time that is due after 32 s"


def test_an_invite_is_repeated_more_and_more_seldom(clock: Clock) -> None:
    clock.repeat(timers.GIVE_UP_S)
    clock.run(1_000.0)
    assert clock.sent_s == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert len(clock.gave_up_s) == 1


def test_what_is_answered_is_repeated_no_more(clock: Clock) -> None:
    repeat = clock.repeat()
    clock.run(102.0)
    repeat.answered()
    clock.run(1_000.0)
    assert clock.sent_s == [0.5, 1.5]
    assert clock.gave_up_s == []
