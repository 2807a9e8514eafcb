"""Counts the votes of replicas: is a quorum pending, won or lost?

In: yes and no of the replicas. Out: the outcome, which depends on the counts alone.
"""

from enum import Enum


class Outcome(Enum):
    """How a quorum stands."""

    PENDING = "pending"
    WON = "won"
    LOST = "lost"


class Votes:
    """The votes of `total` replicas, of which `needed` must say yes."""

    __slots__ = ("needed", "no", "total", "yes")

    def __init__(self, needed: int, total: int) -> None:
        self.needed = needed
        self.total = total
        self.yes = 0
        self.no = 0

    @property
    def outcome(self) -> Outcome:
        """WON or LOST as soon as no further vote can change it."""
        if self.yes >= self.needed:
            return Outcome.WON
        if self.total - self.no < self.needed:
            return Outcome.LOST
        return Outcome.PENDING

    @property
    def everybody(self) -> bool:
        """Whether all replicas have voted."""
        return self.yes + self.no >= self.total
