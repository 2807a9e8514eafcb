"""How much this node may trust itself (Lifeguard, section IV-A, the local health multiplier).

In: how its own probes went, how late its own timers are. Out: a factor for its probes' timeouts.
Counterparts: `prober.py`, `membership.py`. Pure.

A node that was frozen, or has too much to do, sees everybody else silent. It doubts itself first.
"""


class LocalHealth:
    """A score from 0, well, to `score_max`."""

    def __init__(self, score_max: int) -> None:
        self._score_max = score_max
        self.score = 0

    @property
    def factor(self) -> int:
        """What probe timeouts are multiplied by: score + 1."""
        return self.score + 1

    def better(self) -> None:
        """A probe was answered in time."""
        self.score = max(0, self.score - 1)

    def worse(self, by: int = 1) -> None:
        """A sign that it is this node that is slow or cut off."""
        self.score = min(self._score_max, self.score + by)


def overslept(due_s: float, now_s: float, slack_s: float) -> bool:
    """Whether a timer came so late that what it says of others cannot be trusted."""
    return now_s - due_s > slack_s
