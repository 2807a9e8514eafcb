"""The updates that still have to be told, and how often each was told.

In: updates. Out: the updates of one frame, those told least often first. Counterpart: `gossip.py`
sends them. Pure.

Each node that learned an update tells it `times_told(lambda, n)` times (SWIM, section 4.1). The
share of nodes that may miss it is the farm's size to the power of minus lambda.
"""

import heapq
import math
from dataclasses import dataclass

from overlay.links.member_claims import State, claim_of, order
from overlay.links.member_messages import MemberUpdate

UpdateKey = tuple[bytes, bytes]


@dataclass(kw_only=True)
class _QueuedUpdate:
    update: MemberUpdate
    told: int = 0


def times_told(multiplier: int, peers: int) -> int:
    """How often one node tells an update: lambda * ln(n + 1), and at most once to each peer."""
    return min(max(peers, 1), math.ceil(multiplier * math.log(peers + 1)))


class GossipQueue:
    """Updates to be told: one for each member, and one for each node that suspects it."""

    def __init__(self, length_max: int) -> None:
        self._length_max = length_max
        self._entries: dict[UpdateKey, _QueuedUpdate] = {}
        self._of: dict[bytes, dict[UpdateKey, None]] = {}
        """By subject: the keys of the updates about it."""

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, update: MemberUpdate) -> None:
        """Add an update; updates that it overrules are dropped. If the queue is full, the oldest is
        dropped."""
        subject, claim = update.node.node_id, claim_of(update)
        for key in list(self._of.get(subject, ())):
            known = claim_of(self._entries[key].update)
            if order(known) > order(claim):
                return
            if order(known) < order(claim):
                self._remove(key)
        key = (subject, update.origin if claim[1] is State.SUSPECT else b"")
        if key not in self._entries and len(self._entries) >= self._length_max:
            self._remove(next(iter(self._entries)))
        self._entries[key] = _QueuedUpdate(update=update)
        self._of.setdefault(subject, {})[key] = None

    def drop(self, subject: bytes) -> None:
        """Drop the updates about this member: they no longer hold."""
        for key in list(self._of.get(subject, ())):
            self._remove(key)

    def take(self, count: int, times: int) -> tuple[MemberUpdate, ...]:
        """Up to `count` updates for one peer. Updates that were told `times` times leave the
        queue."""
        chosen = heapq.nsmallest(count, self._entries.items(), key=lambda item: item[1].told)
        for key, entry in chosen:
            entry.told += 1
            if entry.told >= times:
                self._remove(key)
        return tuple(entry.update for _, entry in chosen)

    def _remove(self, key: UpdateKey) -> None:
        del self._entries[key]
        keys = self._of[key[0]]
        del keys[key]
        if not keys:
            del self._of[key[0]]
