"""The worker's log has a rate limit for each kind of line."""

from proxy.worker import LOG_INTERVAL_S, LOG_KINDS_MAX, RateLimitedLog
from tests.unit.proxy.conftest import Clock


def test_one_line_a_second_of_each_kind(clock: Clock) -> None:
    lines: list[str] = []
    log = RateLimitedLog(lines.append, clock)
    for _ in range(5):
        log.line("a", "first")
        log.line("b", "second")
    assert lines == ["first\n", "second\n"]
    clock.now_s += LOG_INTERVAL_S
    log.line("a", "third")
    assert lines[2:] == ["third (4 more of this kind since the last line)\n"]


def test_kinds_are_bounded(clock: Clock) -> None:
    log = RateLimitedLog(lambda _text: None, clock)
    for kind in range(LOG_KINDS_MAX * 3):
        log.line(str(kind), "x")
    assert len(log._next_s) <= LOG_KINDS_MAX
