"""Figures with a goal of their own, whatever a peer reaches: latencies, rates, sizes, times.

In: measured values, round by round. Out: a `Reading` for `report.py`. Counterpart: `measure.py`,
for goals that are ratios to a peer.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    peers: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """The peers' in the same rounds, by name; empty where nobody does the same."""
    note: str = ""
    """How it was measured, and what the peers do not do for their figures."""

    @property
    def value(self) -> float:
        """Ours in the middle round."""
        return statistics.median(self.ours)

    @property
    def holds(self) -> bool:
        """Whether the goal is reached."""
        return self.value <= self.goal if self.better is Better.LOWER else self.value >= self.goal


def each_percentile(
    rounds: Mapping[str, Sequence[Sequence[float]]], share: float, divisor: float = 1.0
) -> dict[str, tuple[float, ...]]:
    """`percentile` of every peer's every round, divided."""
    return {
        name: tuple(percentile(values, share) / divisor for values in each)
        for name, each in rounds.items()
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]
