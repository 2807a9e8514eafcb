"""Whose turn it is: by the clock, or at random.

In: who is there. Out: the next one. Counterparts: `prober.py`, `gossip.py`. Pure; chance is handed
in.

Nodes that know the same farm, and what time it is, count the same turns. In each of them everybody
probes one other and is probed by one other: in the next by the next. So who falls silent meets a
probe within one turn. Where turns are left to chance (SWIM, section 4.3), most meet one as soon,
and one in a hundred after four turns. Nodes whose clocks differ, or that have not heard the same
yet, probe some twice in a turn and others not at all; each still probes everybody once a round.
"""

import random
from collections.abc import Collection
from typing import Final

BY_CHANCE: Final = 0.4
"""Share of a turn that it lasts where it is left to chance: 99 of 100 faults then meet a probe of
somebody within 1.6 turns."""


class Turns:
    """The turns of one node, counted by the wall clock."""

    def __init__(self, own_id: bytes, interval_ms: int) -> None:
        self._own_id = own_id
        self._interval_ms = interval_ms

    def number(self, now_ms: int) -> int:
        """The turn that begins about now."""
        return (now_ms + self._interval_ms // 2) // self._interval_ms

    def pause_s(self, now_ms: int) -> float:
        """Until the next one begins."""
        return ((self.number(now_ms) + 1) * self._interval_ms - now_ms) / 1000

    def whom(self, number: int, present: Collection[bytes]) -> bytes | None:
        """Whom this node probes in this turn, of the others that are present."""
        ring = sorted({*present, self._own_id})
        others = len(ring) - 1
        if not others:
            return None
        return ring[(ring.index(self._own_id) + 1 + number % others) % len(ring)]


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
