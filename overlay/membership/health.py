"""How far this node may trust its own view (Lifeguard, section IV-A, the local health multiplier).

In: how this node's probes went, and how late its own timers are. Out: a factor for the timeouts of
its probes. Counterparts: `prober.py`, `membership.py`. Pure.

To a node that was frozen, or that has too much to do, all other nodes seem silent. Such a node has
to doubt itself before it suspects others.
"""


class LocalHealth:
    """A score from 0, which means that this node is well, to `score_max`."""

    def __init__(self, score_max: int) -> None:
        self._score_max = score_max
        self.score = 0

    @property
    def factor(self) -> int:
        """The number that probe timeouts are multiplied by: score + 1."""
        return self.score + 1

    def better(self) -> None:
        """Lower the score: a member answered a probe in time."""
        self.score = max(0, self.score - 1)

    def worse(self, by: int = 1) -> None:
        """Raise the score: there is a sign that this node itself is slow or cut off."""
        self.score = min(self._score_max, self.score + by)


def overslept(due_s: float, now_s: float, slack_s: float) -> bool:
    """Whether a timer fired so late that this node cannot trust what it concludes about others."""
    return now_s - due_s > slack_s
