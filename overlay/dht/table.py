"""The Kademlia routing table, adapted to a farm.

In: contacts, most of them proven by a link. Out: the contacts nearest to a key, and whether these
are certain. Counterpart: `overlay.membership` alone adds and removes contacts.

The package's table has three faults, which this class overrides. It stops at the first k contacts
that it meets instead of the nearest k. It misplaces the id at the upper end of a bucket. And it
pings or evicts contacts on its own judgement.
"""

from collections.abc import Iterator
from heapq import nsmallest
from itertools import chain

from kademlia.node import Node
from kademlia.routing import KBucket, RoutingTable

from overlay.base.limits import MEMBERS_MAX
from overlay.records.node_info import NodeInfo


class TableContact(Node):  # type: ignore[misc]
    """A node of the table, with the data that a link to it needs."""

    def __init__(self, info: NodeInfo, *, proven: bool = True) -> None:
        super().__init__(info.node_id, info.host, info.port)
        self.info = info
        self.proven = proven
        """Whether a link has shown that this id lives at this address. If not, this node names it
        to no other."""


class FarmTable(RoutingTable):  # type: ignore[misc]
    """Buckets of contacts."""

    def add_contact(self, node: Node) -> None:
        """Add or renew a contact. A new address replaces the old one.

        A full bucket that cannot be split keeps the contact as a replacement. The package's
        `KBucket.remove_node` promotes it when another contact goes.
        """
        while True:
            index = self.get_bucket_for(node)
            bucket: KBucket = self.buckets[index]
            # The package drops replacements beyond a few, and `complete` has to know of all.
            bucket.max_replacement_nodes = MEMBERS_MAX
            splittable = bucket.has_in_range(self.node) and bucket.range[0] < bucket.range[1]
            if bucket.add_node(node) or not splittable:
                return
            self.split_bucket(index)

    def get_bucket_for(self, node: Node) -> int:
        """The index of the bucket whose range holds the id."""
        for index, bucket in enumerate(self.buckets):
            if node.long_id <= bucket.range[1]:
                return index
        raise AssertionError("the buckets cover the whole id space")

    def contacts(self) -> Iterator[TableContact]:
        """All contacts, in no order."""
        return chain.from_iterable(bucket.nodes.values() for bucket in self.buckets)

    def find_neighbors(
        self, node: Node, k: int | None = None, exclude: Node | None = None, proven: bool = False
    ) -> list[Node]:
        """The k contacts nearest to `node` by XOR distance, nearest first, without `node` itself.

        `proven`: only contacts whose id a link has shown.
        """
        contacts = (
            contact
            for contact in self.contacts()
            if contact.id != node.id
            and (exclude is None or contact.id != exclude.id)
            and (not proven or contact.proven)
        )
        return nsmallest(k or self.ksize, contacts, key=node.distance_to)

    def certain(self, key: Node, distance: int) -> bool:
        """Whether no node that this table lacks can be as near to the key as `distance`."""
        for bucket in self.buckets:
            if bucket.replacement_nodes:
                size = bucket.range[1] - bucket.range[0] + 1
                nearest = (bucket.range[0] ^ key.long_id) // size * size
                if nearest <= distance:
                    return False
        return True

    @property
    def complete(self) -> bool:
        """Whether no contact ever had to wait outside a bucket, so that the table is the whole
        farm."""
        return not any(bucket.replacement_nodes for bucket in self.buckets)
