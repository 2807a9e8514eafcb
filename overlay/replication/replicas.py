"""The replicas of a key, and how this node asks them.

In: keys, and what the farm's rules want asked of the nodes that hold them. Out: the nodes, this one
told apart from the others, and requests to them. Counterparts: `placement.py` says which nodes hold
a key; `replica.py` answers on each of them, on this node without a link.
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
    """All replicas of the farm's records, as one node sees them."""

    own_id: bytes
    own: Replica
    """This node's copies."""
    placement: Placement
    transport: Transport
    spreader: Spreader
    count: int
    """N, `overlay.replicas`."""
    write_quorum: int
    """W."""
    read_quorum: int
    """R."""

    def needed(self, replicas: int) -> int:
        """W, or all that there are in a farm that is smaller."""
        return min(self.write_quorum, replicas)

    def others(self, nodes: Iterable[NodeInfo]) -> list[NodeInfo]:
        """These nodes but this one."""
        return [node for node in nodes if node.node_id != self.own_id]

    def is_among(self, nodes: Iterable[NodeInfo]) -> bool:
        """Whether this node is one of these."""
        return any(node.node_id == self.own_id for node in nodes)

    def is_nearest(self, key: bytes) -> bool:
        """Whether this node comes first of the live replicas of `key`, so that it acts for all."""
        nodes = self.placement.of(key)
        return bool(nodes) and nodes[0].node_id == self.own_id

    def ask(
        self, node: NodeInfo, request: Fetch | Store, timeout_s: float
    ) -> "asyncio.Future[PeerReply]":
        """What a replica answers, this node too; a future that never raises.

        `timeout_s` is for the others: this node answers as soon as its disk does.
        """
        if node.node_id != self.own_id:
            return self.transport.ask(node.node_id, request, timeout_s)
        future: asyncio.Future[PeerReply] = asyncio.get_running_loop().create_future()

        def answer(reply: PeerReply) -> None:
            # Whoever asked may have gone; to raise here would cost the others of the same commit
            # their answer.
            if not future.done():
                future.set_result(reply)

        if isinstance(request, Store):
            self.own.store(self.own_id, request, answer)
        else:
            self.own.fetch(self.own_id, request, answer)
        return future

    def bring_to_others(self, kind: RecordKind, key: bytes, body: bytes) -> None:
        """Send a record that this node has made and stored to the other replicas of its key, in
        the next batch."""
        store = Store(kind=kind, key=key, body=body)
        for node in self.others(self.placement.of(key)):
            self.spreader.later(node.node_id, store)
