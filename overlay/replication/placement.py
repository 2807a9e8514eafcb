"""Which nodes hold a record: the N nearest to its key among those that are alive or suspected.

In: keys. Out: nodes, nearest first; the same on every node that sees the same farm. Counterpart:
`overlay.membership`, whose epoch says when an answer is out of date.
"""

from overlay.links.messages import NodeInfo
from overlay.membership.membership import Membership

REMEMBERED_MAX = 50_000


class Placement:
    """The replicas of keys, remembered until the farm changes."""

    def __init__(self, membership: Membership, replicas: int) -> None:
        self._membership = membership
        self._replicas = replicas
        self._epoch = -1
        self._known: dict[bytes, tuple[NodeInfo, ...]] = {}
        self._certain: dict[bytes, tuple[NodeInfo, ...] | None] = {}

    @property
    def epoch(self) -> int:
        """Grows whenever the replicas of a key may have changed."""
        return self._membership.epoch

    def of(self, key: bytes) -> tuple[NodeInfo, ...]:
        """The replicas of `key` by this node's own table, or by a lookup not long ago."""
        self._forget_the_outdated()
        nodes = self._known.get(key)
        if nodes is None:
            nodes = tuple(self._membership.nearest(key, self._replicas))
            self._known[key] = nodes
        return nodes

    def surely(self, key: bytes) -> tuple[NodeInfo, ...] | None:
        """The same, or None where the table cannot know for certain."""
        self._forget_the_outdated()
        if key not in self._certain:
            nodes = self._membership.surely_nearest(key, self._replicas)
            self._certain[key] = tuple(nodes) if nodes is not None else None
        return self._certain[key]

    async def find(self, key: bytes, timeout_s: float) -> tuple[NodeInfo, ...]:
        """The same, asking others where the table does not hold the whole farm."""
        nodes = self.surely(key)
        if nodes is None:
            nodes = tuple(await self._membership.lookup(key, self._replicas, timeout_s))
            if self._epoch == self._membership.epoch and len(nodes) == self._replicas:
                self._known[key] = self._certain[key] = nodes
        return nodes

    def _forget_the_outdated(self) -> None:
        if (
            self._epoch != self._membership.epoch
            or len(self._certain) + len(self._known) > REMEMBERED_MAX
        ):
            self._known.clear()
            self._certain.clear()
            self._epoch = self._membership.epoch
