"""Whose turn it is: at random, and everybody once a round.

In: who is there. Out: the next one. Counterparts: `prober.py`, `gossip.py`. Pure; chance is handed
in.

With n members each is probed within 2n - 1 turns at the latest, n on average (SWIM, section 4.3).
"""

import random
from collections.abc import Collection


def pause_s(interval_s: float, peers: int) -> float:
    """Between two probes: longer in a small farm, where the next turn comes soon.

    In a farm of any size 99 of 100 faults then meet a probe of somebody within 4 * `interval_s`.
    """
    return interval_s * (1 + 3 / max(peers, 1) ** 2)


class ProbeOrder:
    """A round through the members; who comes meanwhile has a turn at a random place of it."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._round: list[bytes] = []
        self._known: frozenset[bytes] = frozenset()

    def next(self, present: Collection[bytes]) -> bytes | None:
        """The next of those present; None when there is nobody."""
        now = frozenset(present)
        for newcomer in sorted(now - self._known):
            self._round.insert(self._chance.randint(0, len(self._round)), newcomer)
        self._known = now
        for _ in range(2):
            while self._round:
                candidate = self._round.pop()
                if candidate in now:
                    return candidate
            self._round = sorted(now)
            self._chance.shuffle(self._round)
        return None

    def several(self, present: Collection[bytes], count: int) -> list[bytes]:
        """The next few, without repetition."""
        chosen: dict[bytes, None] = {}
        for _ in range(2 * count):
            candidate = self.next(present) if len(chosen) < min(count, len(present)) else None
            if candidate is None:
                break
            chosen[candidate] = None
        return list(chosen)
