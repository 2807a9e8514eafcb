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

    def of(self, key: bytes) -> tuple[NodeInfo, ...]:
        """The replicas of `key` by this node's own table."""
        if self._epoch != self._membership.epoch or len(self._known) > REMEMBERED_MAX:
            self._known.clear()
            self._epoch = self._membership.epoch
        nodes = self._known.get(key)
        if nodes is None:
            nodes = tuple(self._membership.nearest(key, self._replicas))
            self._known[key] = nodes
        return nodes

    async def find(self, key: bytes, timeout_s: float) -> tuple[NodeInfo, ...]:
        """The same, asking others where the table does not hold the whole farm."""
        if self._membership.dht.router.complete:
            return self.of(key)
        nodes = tuple(await self._membership.lookup(key, self._replicas, timeout_s))
        if self._epoch == self._membership.epoch and len(nodes) == self._replicas:
            self._known[key] = nodes
        return nodes
