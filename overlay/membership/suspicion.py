"""How long a suspect member has to show that it lives (Lifeguard, section IV-B).

In: the nodes that suspect the member, and the time. Out: the moment from which the member counts as
dead. Counterpart: `members.py`. Pure.

A node that suspects another may be wrong itself, so a suspicion that one node alone has lasts long.
Each further node that comes to the same suspicion on its own shortens the time:

    timeout = max(min, max - (max - min) * log(C + 1) / log(K + 1))

C is the number of confirmations, K the number that is expected.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Patience:
    """The constants of suspicions, for a farm of any size."""

    min_s: float
    """Shortest timeout in a farm of ten nodes or fewer."""
    max_factor: float
    confirmations: int

    def bounds_s(self, nodes: int) -> tuple[float, float]:
        """The shortest and the longest timeout, in s, in a farm of so many nodes."""
        shortest = self.min_s * max(1.0, math.log10(max(nodes, 1)))
        return shortest, shortest * self.max_factor

    def expected(self, nodes: int) -> int:
        """K: how many nodes can be expected to confirm, the suspect and the first accuser not
        counted."""
        return max(0, min(self.confirmations, nodes - 2))


RESTARTS_WITHIN_S = 5.0
"""How long a suspect that lives has for getting a link: it needs TLS, over a network that loses
packets."""


class Suspicion:
    """The suspicion against one member."""

    def __init__(self, patience: Patience, nodes: int, origin: bytes, now_s: float) -> None:
        self.began_s = self._first_s = now_s
        self._min_s, self._max_s = patience.bounds_s(nodes)
        self._expected = patience.expected(nodes)
        self._origins = {origin}
        self.timeout_s = self._timeout_s()
        """How long the suspicion may last, from `began_s`."""

    @property
    def confirmations(self) -> int:
        """How many nodes besides the first suspect the member."""
        return len(self._origins) - 1

    def confirm(self, origin: bytes) -> bool:
        """Note that `origin` suspects the member too; True if that is news and shortens the
        timeout."""
        if origin in self._origins or self.confirmations >= self._expected:
            return False
        self._origins.add(origin)
        self.timeout_s = self._timeout_s()
        return True

    @property
    def until_s(self) -> float:
        """When the suspicion ends and the suspect counts as dead."""
        return self.began_s + self.timeout_s

    def postpone(self, by_s: float) -> None:
        """Add the time in which this node did not run, and so could not have heard a refutation."""
        self.began_s += by_s
        self._first_s += by_s

    def restart(self, now_s: float) -> None:
        """Start the timeout again: the suspect lives, but has not yet shown all that it has to
        show. This works for `RESTARTS_WITHIN_S` after the suspicion began, no longer."""
        if now_s - self._first_s < RESTARTS_WITHIN_S:
            self.began_s = now_s

    def press(self) -> None:
        """Use the shortest timeout, as some node is sure that the suspect is dead."""
        self._max_s = self._min_s
        self.timeout_s = self._timeout_s()

    def _timeout_s(self) -> float:
        if self._expected == 0:
            return self._min_s
        share = math.log(self.confirmations + 1) / math.log(self._expected + 1)
        return max(self._min_s, self._max_s - (self._max_s - self._min_s) * share)
