"""Which members this node keeps a link to in a farm that is too large to link to all.

In: ids. Out: those worth a link. Counterparts: the same on every node; `members.py` has them
dialled, `overlay.links.network` closes links to others when nobody uses them. Pure.

Half of the links go to the nodes nearest by id: they hold copies of the same records, so a crash
shows at once to those whom it concerns. The other half is spread over the rest of the id space, as
many for each of the larger Kademlia buckets: of a bucket, the nodes nearest to this node's
reflection in it, its own id with the bucket's bit flipped. Distance by XOR is the same both ways
for neighbours and for reflections, so whom one side wants a link to mostly wants it, too, and the
farm hangs together like a hypercube: news reach everybody in few steps.
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
    # The smallest first, so that what they cannot use falls to the others.
    for done, (bit, members) in enumerate(sorted(buckets.items(), key=lambda item: len(item[1]))):
        share = -(-room // (len(buckets) - done))
        members.sort(key=lambda distance: distance ^ (1 << bit))
        chosen += members[:share]
        room -= min(share, len(members))
    return [distance ^ own for distance in chosen]


REVIEW_S = 1.0
"""Between two choices, while members come and go."""


class KeptLinks:
    """The choice of one node, made again when members came or went."""

    def __init__(self, own_id: bytes, count: int) -> None:
        self._own = int.from_bytes(own_id)
        self._count = count
        self._chosen: dict[bytes, None] = {}
        self._version = -1
        self._review_s = 0.0

    def __contains__(self, node_id: bytes) -> bool:
        return node_id in self._chosen

    def review(self, living: Callable[[], Iterable[int]], version: int, now_s: float) -> None:
        """Choose among `living`, which are others whenever `version` is another."""
        if self._version != version and now_s >= self._review_s:
            chosen = choose(self._own, living(), self._count)
            self._chosen = {number.to_bytes(20): None for number in chosen}
            self._version, self._review_s = version, now_s + REVIEW_S

    def without(self, linked: dict[bytes, None]) -> list[bytes]:
        """Those of the choice that have no link."""
        if self._chosen.keys() <= linked.keys():
            return []
        return [node_id for node_id in self._chosen if node_id not in linked]
