"""When a message without an answer is sent again, and for how long (RFC 3261 17.1.1.1)."""

from typing import Final

T1_S: Final = 0.5
"""The time before the first repeat."""
T2_S: Final = 4.0
GIVE_UP_S: Final = 64 * T1_S
"""Timers B, F and H."""


def longer(interval_s: float, longest_s: float = T2_S) -> float:
    """The time before the next repeat, after this one.

    Those of an INVITE may grow without end (17.1.1.2); others, and those of its 200, up to T2.
    """
    return min(2 * interval_s, longest_s)
