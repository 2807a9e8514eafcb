"""Figures that have a goal of their own, whatever a peer reaches: latencies, rates, sizes, times.

In: what a benchmark measured, round by round. Out: a `Reading` for `report.py`. Counterpart:
`measure.py`, for goals that are ratios to a peer.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Better(StrEnum):
    """Which way is good."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One figure."""

    name: str
    """What of the benchmark it is, in a few words: `cold p99`."""
    unit: str
    goal: float
    better: Better = Better.LOWER
    ours: tuple[float, ...]
    """One value a round."""
    peer: tuple[float, ...] = ()
    """The peer's in the same rounds; empty where nobody does the same."""
    peer_name: str = ""
    note: str = ""
    """How it was measured, and what the peer does not do for its figure."""

    @property
    def value(self) -> float:
        """Ours in the middle round."""
        return statistics.median(self.ours)

    @property
    def holds(self) -> bool:
        """Whether the goal is reached."""
        return self.value <= self.goal if self.better is Better.LOWER else self.value >= self.goal


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]
