"""Kademlia's calls over the farm's links instead of UDP.

In: lookups of this node, and FIND_NODE requests of peers. Out: contacts. Counterpart: the same
module on every node.

Contacts that a peer names are hearsay. This node asks them only over a link that proves their id,
and names only contacts with which it has had a link. Values never travel in these calls:
replication sends them, with quorums.
"""

from collections.abc import Callable
from typing import Any

from kademlia.node import Node
from kademlia.protocol import KademliaProtocol

from overlay.base.errors import SipfarmError
from overlay.base.limits import CONTACTS_TOLD_MAX
from overlay.dht.table import FarmTable, TableContact
from overlay.links.member_claims import sane_node
from overlay.links.member_messages import FindNode, Nodes
from overlay.links.network import Transport
from overlay.records.node_info import NodeInfo

OnHearsay = Callable[[NodeInfo], None]


class FarmProtocol(KademliaProtocol):  # type: ignore[misc]
    """The package's protocol class, on the farm's transport."""

    def __init__(
        self,
        source: TableContact,
        ksize: int,
        transport: Transport,
        heard: OnHearsay,
        timeout_s: float,
    ) -> None:
        super().__init__(source, {}, ksize)
        self.router = FarmTable(self, ksize, source)
        self._links = transport
        self._heard = heard
        self._timeout_s = timeout_s

    # A call to other nodes. It shadows the package's `__getattr__`, which would send datagrams.

    async def call_find_node(self, node_to_ask: Node, node_to_find: Node) -> tuple[bool, Any]:
        """The contacts nearest to a key that a peer knows, as (answered, contacts)."""
        if not await self._reachable(node_to_ask):
            return (False, None)
        question = FindNode(target=node_to_find.id)
        reply = await self._links.ask(node_to_ask.id, question, self._timeout_s)
        if not isinstance(reply, Nodes):
            return (False, None)
        infos = [info for info in reply.nodes[:CONTACTS_TOLD_MAX] if sane_node(info)]
        for info in infos:
            self._heard(info)
        return (True, [TableContact(info) for info in infos])

    # Calls that other nodes make.

    def answer_find_node(self, target: bytes, asker: bytes) -> Nodes:
        """The nodes nearest to `target` that this node knows, without the asker."""
        told = min(self.router.ksize, CONTACTS_TOLD_MAX)
        found = self.router.find_neighbors(Node(target), told, Node(asker), proven=True)
        infos = [contact.info for contact in found]
        if not any(info.node_id == target for info in infos) and target != asker:
            known = self._contact(target)
            infos = [known.info, *infos][:told] if known and known.proven else infos
        return Nodes(nodes=tuple(infos))

    async def _reachable(self, node: Node) -> bool:
        if self._links.linked(node.id):
            return True
        try:
            hello = await self._links.dial(node.ip, node.port, self._timeout_s)
        except SipfarmError:
            return False
        return bool(hello.node.node_id == node.id)

    def _contact(self, node_id: bytes) -> TableContact | None:
        bucket = self.router.buckets[self.router.get_bucket_for(Node(node_id))]
        contact: TableContact | None = bucket[node_id]
        return contact
