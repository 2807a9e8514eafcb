"""A hybrid logical clock: time that never goes back, and that orders causes before effects.

In: the wall clock; stamps of other nodes. Out: 64-bit stamps, made of 48 bits of Unix time in ms
and 16 bits of a counter (Kulkarni et al., Logical Physical Clocks, 2014). A stamp from too far in
the future is not followed, so that one node with a broken clock cannot drag the farm along.
"""

from collections.abc import Callable

COUNTER_BITS = 16
DRIFT_MS_MAX = 60_000


def milliseconds(stamp: int) -> int:
    """The wall clock's part of a stamp: Unix time in ms."""
    return stamp >> COUNTER_BITS


class HybridClock:
    """The stamps of one node."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._last = 0

    def tick(self) -> int:
        """A stamp later than every stamp given out or observed before."""
        self._last = max(self._last + 1, self._now_ms() << COUNTER_BITS)
        return self._last

    def observe(self, stamp: int) -> bool:
        """Take note of another node's stamp. False if it is too far ahead to be followed."""
        if stamp >> COUNTER_BITS > self._now_ms() + DRIFT_MS_MAX:
            return False
        self._last = max(self._last, stamp)
        return True
