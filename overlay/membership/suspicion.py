"""How long a suspect has to show that it lives (Lifeguard, section IV-B).

In: who suspects it, time. Out: the moment from which it is dead. Counterpart: `members.py`. Pure.

One node that suspects another may be wrong itself, so a lone suspicion waits long; each node that
finds the same on its own makes the wait shorter:

    timeout = max(min, max - (max - min) * log(C + 1) / log(K + 1))

with C confirmations of the K that are expected.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Patience:
    """The constants, for a farm of any size."""

    min_s: float
    """In a farm of ten nodes or fewer."""
    max_factor: float
    confirmations: int

    def bounds_s(self, nodes: int) -> tuple[float, float]:
        """The shortest and the longest timeout, in s, in a farm of so many nodes."""
        shortest = self.min_s * max(1.0, math.log10(max(nodes, 1)))
        return shortest, shortest * self.max_factor

    def expected(self, nodes: int) -> int:
        """K: how many others can be expected to confirm; not the suspect, not who began."""
        return max(0, min(self.confirmations, nodes - 2))


RESTARTS_WITHIN_S = 5.0
"""How long a suspect that lives has to get a link: for TLS, over a network that loses packets."""


class Suspicion:
    """One suspicion."""

    def __init__(self, patience: Patience, nodes: int, origin: bytes, now_s: float) -> None:
        self.began_s = self._first_s = now_s
        self._min_s, self._max_s = patience.bounds_s(nodes)
        self._expected = patience.expected(nodes)
        self._origins = {origin}
        self.timeout_s = self._timeout_s()
        """How long it may last, from `began_s`."""

    @property
    def confirmations(self) -> int:
        """How many nodes beside the first found the same."""
        return len(self._origins) - 1

    def confirm(self, origin: bytes) -> bool:
        """Another node suspects it as well; True when that is news and shortens the wait."""
        if origin in self._origins or self.confirmations >= self._expected:
            return False
        self._origins.add(origin)
        self.timeout_s = self._timeout_s()
        return True

    @property
    def until_s(self) -> float:
        """When it is over, and the suspect dead."""
        return self.began_s + self.timeout_s

    def postpone(self, by_s: float) -> None:
        """This node was not there for so long, and could not have heard a refutation."""
        self.began_s += by_s
        self._first_s += by_s

    def restart(self, now_s: float) -> None:
        """It lives, though it has not shown all that it has to; not for long."""
        if now_s - self._first_s < RESTARTS_WITHIN_S:
            self.began_s = now_s

    def press(self) -> None:
        """Somebody is sure: it has the shortest timeout."""
        self._max_s = self._min_s
        self.timeout_s = self._timeout_s()

    def _timeout_s(self) -> float:
        if self._expected == 0:
            return self._min_s
        share = math.log(self.confirmations + 1) / math.log(self._expected + 1)
        return max(self._min_s, self._max_s - (self._max_s - self._min_s) * share)
