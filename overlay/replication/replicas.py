"""The replicas of a key, and how this node asks them.

In: keys, and requests to the nodes that hold them. Out: the nodes, this node told apart from the
others, and their replies. Counterparts: `placement.py` decides which nodes hold a key; `replica.py`
answers on each of them. On this node it answers without a link.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from overlay.links.network import Transport
from overlay.links.peer_protocol import PeerReply
from overlay.links.record_messages import Fetch, Store
from overlay.records.names import RecordKind
from overlay.records.node_info import NodeInfo
from overlay.replication.placement import Placement
from overlay.replication.replica import Replica
from overlay.replication.spreader import Spreader


@dataclass(frozen=True, kw_only=True, slots=True)
class Replicas:
    """The replicas of all records of the farm, as one node sees them."""

    own_id: bytes
    own: Replica
    """This node's copies."""
    placement: Placement
    transport: Transport
    spreader: Spreader
    count: int
    """N, `overlay.replicas`."""
    write_quorum: int
    """W, `overlay.write_quorum`."""
    read_quorum: int
    """R, `overlay.read_quorum`."""

    def needed(self, replicas: int) -> int:
        """W; all replicas in a farm with fewer than W."""
        return min(self.write_quorum, replicas)

    def others(self, nodes: Iterable[NodeInfo]) -> list[NodeInfo]:
        """These nodes without this one."""
        return [node for node in nodes if node.node_id != self.own_id]

    def is_among(self, nodes: Iterable[NodeInfo]) -> bool:
        """Whether this node is one of these."""
        return any(node.node_id == self.own_id for node in nodes)

    def is_nearest(self, key: bytes) -> bool:
        """Whether this node is the first of the live replicas of `key`, so that it acts for all of
        them."""
        nodes = self.placement.of(key)
        return bool(nodes) and nodes[0].node_id == self.own_id

    def ask(
        self, node: NodeInfo, request: Fetch | Store, timeout_s: float
    ) -> "asyncio.Future[PeerReply]":
        """The reply of a replica, which may be this node. The future never raises.

        `timeout_s` is for the other nodes. This node answers as soon as its disk does.
        """
        if node.node_id != self.own_id:
            return self.transport.ask(node.node_id, request, timeout_s)
        future: asyncio.Future[PeerReply] = asyncio.get_running_loop().create_future()

        def answer(reply: PeerReply) -> None:
            # The caller may have stopped waiting. Raising here would cost the other writes of the
            # same commit their answers.
            if not future.done():
                future.set_result(reply)

        if isinstance(request, Store):
            self.own.store(self.own_id, request, answer)
        else:
            self.own.fetch(self.own_id, request, answer)
        return future

    def bring_to_others(self, kind: RecordKind, key: bytes, body: bytes) -> None:
        """Send a record that this node has made and stored to the other replicas of its key, in the
        next batch."""
        store = Store(kind=kind, key=key, body=body)
        for node in self.others(self.placement.of(key)):
            self.spreader.later(node.node_id, store)
