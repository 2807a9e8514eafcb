"""The hybrid logical clock never goes back."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.records.clock import COUNTER_BITS, DRIFT_MS_MAX, HybridClock


@given(st.lists(st.integers(0, 1 << 44), min_size=1))
def test_stamps_rise_however_the_wall_clock_jumps(times_ms: list[int]) -> None:
    times = iter(times_ms)
    clock = HybridClock(lambda: next(times))
    stamps = [clock.tick() for _ in times_ms]
    assert stamps == sorted(set(stamps))


def test_a_stamp_follows_what_was_observed() -> None:
    clock = HybridClock(lambda: 1_000)
    assert clock.observe(2_000 << COUNTER_BITS)
    assert clock.tick() > 2_000 << COUNTER_BITS


def test_a_peer_from_the_far_future_is_not_followed() -> None:
    clock = HybridClock(lambda: 1_000)
    assert not clock.observe((1_001 + DRIFT_MS_MAX) << COUNTER_BITS)
    assert clock.tick() == 1_000 << COUNTER_BITS
