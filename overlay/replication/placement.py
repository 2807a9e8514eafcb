"""Which nodes hold a record: the N nearest to its key among the nodes that are alive or suspect.

In: keys. Out: nodes, nearest first. Nodes that see the same farm choose the same. Counterpart:
`overlay.membership`, whose epoch tells when an answer is out of date.

Draining nodes get no records as long as W other nodes are there. Zones share the replicas evenly:
no zone holds more than N / zones of a record's replicas, rounded up, while other zones have nodes.
"""

from collections import Counter
from collections.abc import Sequence

from overlay.membership.member import LIVING
from overlay.membership.membership import Membership
from overlay.records.node_info import NodeInfo

REMEMBERED_MAX = 50_000
CANDIDATES_PER_REPLICA = 8
"""How many of the nearest nodes are candidates for each replica, where zones or draining nodes
matter. With so many, all of three zones are among the candidates, but for one key in 10,000."""


def choose(nearest: Sequence[NodeInfo], replicas: int, needed: int) -> tuple[NodeInfo, ...]:
    """The candidates that hold a record: `replicas` of them. Draining nodes are passed over if
    `needed` others (W) are there."""
    staying = [node for node in nearest if not node.draining]
    candidates = staying if len(staying) >= needed else list(nearest)
    zones = len({node.zone for node in candidates})
    most = -(-replicas // zones) if zones else 0
    chosen: list[NodeInfo] = []
    held: Counter[str] = Counter()
    for node in candidates:
        if len(chosen) < replicas and held[node.zone] < most:
            chosen.append(node)
            held[node.zone] += 1
    rest = (node for node in candidates if node not in chosen)
    chosen.extend(node for node, _ in zip(rest, range(replicas - len(chosen)), strict=False))
    return tuple(node for node in candidates if node in chosen)


class Placement:
    """The replicas of keys, remembered until the farm changes."""

    def __init__(self, membership: Membership, replicas: int, needed: int) -> None:
        self._membership = membership
        self._replicas = replicas
        self._needed = needed
        self._candidates = replicas
        self._epoch = -1
        self._known: dict[bytes, tuple[NodeInfo, ...]] = {}
        self._certain: dict[bytes, tuple[NodeInfo, ...] | None] = {}

    @property
    def epoch(self) -> int:
        """A number that grows whenever the replicas of a key may have changed."""
        return self._membership.epoch

    def of(self, key: bytes) -> tuple[NodeInfo, ...]:
        """The replicas of `key`, by this node's own table or by a recent lookup."""
        self._forget_the_outdated()
        nodes = self._known.get(key)
        if nodes is None:
            nodes = self._choose(self._membership.nearest(key, self._candidates))
            self._known[key] = nodes
        return nodes

    def surely(self, key: bytes) -> tuple[NodeInfo, ...] | None:
        """The replicas of `key`; None if this node's table cannot know them for certain."""
        self._forget_the_outdated()
        if key not in self._certain:
            nodes = self._membership.surely_nearest(key, self._candidates)
            self._certain[key] = self._choose(nodes) if nodes is not None else None
        return self._certain[key]

    async def find(self, key: bytes, timeout_s: float) -> tuple[NodeInfo, ...]:
        """The replicas of `key`. If the table does not hold the whole farm, other nodes are
        asked."""
        nodes = self.surely(key)
        if nodes is None:
            found = await self._membership.lookup(key, self._candidates, timeout_s)
            nodes = self._choose(found)
            if self._epoch == self._membership.epoch and len(nodes) == self._replicas:
                self._known[key] = self._certain[key] = nodes
        return nodes

    def _choose(self, nearest: Sequence[NodeInfo]) -> tuple[NodeInfo, ...]:
        if self._candidates == self._replicas:
            return tuple(nearest)
        return choose(nearest, self._replicas, self._needed)

    def _forget_the_outdated(self) -> None:
        if (
            self._epoch != self._membership.epoch
            or len(self._certain) + len(self._known) > REMEMBERED_MAX
        ):
            self._known.clear()
            self._certain.clear()
            self._epoch = self._membership.epoch
            plain = not self._differ()
            self._candidates = self._replicas * (1 if plain else CANDIDATES_PER_REPLICA)

    def _differ(self) -> bool:
        """Whether more than nearness matters, since a node drains or there are several zones."""
        members = (m.info for m in self._membership.members if m.state in LIVING)
        nodes = [self._membership.own, *members]
        return any(node.draining for node in nodes) or len({node.zone for node in nodes}) > 1
