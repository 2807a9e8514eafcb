"""Chooses the members that this node keeps a link to, in a farm too large to link to every member.

In: node ids. Out: the ids that this node keeps a link to. Counterparts: every other node chooses in
the same way; `members.py` has the chosen members dialled; `overlay.links.network` closes links to
other members when nobody uses them. Pure.

Half of the links go to the nodes whose ids are nearest. These nodes hold copies of the same
records, so the nodes that a crash concerns notice it at once. The other half of the links is spread
evenly over the larger Kademlia buckets, which are the rest of the id space. In a bucket, the choice
falls on the nodes nearest to this node's reflection: its own id with the bucket's bit flipped. XOR
distance is symmetric, for neighbours and for reflections. So if one node wants a link to another,
the other mostly wants it too. The links form something like a hypercube, and news reaches every
node in few steps.
"""

from collections.abc import Callable, Iterable


def choose(own: int, others: Iterable[int], count: int) -> list[int]:
    """Up to `count` of the ids `others`; all of them if there are no more."""
    by_distance = sorted(other ^ own for other in others)
    if len(by_distance) <= count:
        return [distance ^ own for distance in by_distance]
    near = count - count // 2
    chosen, rest = by_distance[:near], by_distance[near:]
    buckets: dict[int, list[int]] = {}
    for distance in rest:
        buckets.setdefault(distance.bit_length() - 1, []).append(distance)
    room = count - near
    # The smallest bucket comes first, so that the share that it cannot fill falls to the others.
    for done, (bit, members) in enumerate(sorted(buckets.items(), key=lambda item: len(item[1]))):
        share = -(-room // (len(buckets) - done))
        members.sort(key=lambda distance: distance ^ (1 << bit))
        chosen += members[:share]
        room -= min(share, len(members))
    return [distance ^ own for distance in chosen]


REVIEW_S = 1.0
"""Shortest time between two choices, while members come and go."""


class KeptLinks:
    """The choice of one node, which it makes again when members came or went."""

    def __init__(self, own_id: bytes, count: int) -> None:
        self._own = int.from_bytes(own_id)
        self._count = count
        self._chosen: dict[bytes, None] = {}
        self._version = -1
        self._review_s = 0.0

    def __contains__(self, node_id: bytes) -> bool:
        return node_id in self._chosen

    def review(self, living: Callable[[], Iterable[int]], version: int, now_s: float) -> None:
        """Choose among the ids that `living` returns, if `version` has changed since the last
        choice.

        A new `version` means that other members are alive than before.
        """
        if self._version != version and now_s >= self._review_s:
            chosen = choose(self._own, living(), self._count)
            self._chosen = {number.to_bytes(20): None for number in chosen}
            self._version, self._review_s = version, now_s + REVIEW_S

    def without(self, linked: dict[bytes, None]) -> list[bytes]:
        """The chosen members that are not in `linked`."""
        if self._chosen.keys() <= linked.keys():
            return []
        return [node_id for node_id in self._chosen if node_id not in linked]
