"""The routing table finds the truly nearest nodes, and so do lookups in a large farm."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from kademlia.node import Node

from overlay.dht.lookup import Lookup
from overlay.dht.table import FarmTable, TableContact
from overlay.records.node_info import NodeInfo

IDS = st.binary(min_size=20, max_size=20)


def contact(node_id: bytes, port: int = 7460) -> TableContact:
    return TableContact(NodeInfo(node_id=node_id, name="n", host="192.0.2.1", port=port))


def table(own: bytes, ids: list[bytes], ksize: int) -> FarmTable:
    made = FarmTable(None, ksize, contact(own))
    for node_id in ids:
        made.add_contact(contact(node_id))
    return made


@given(IDS, st.lists(IDS, unique=True, max_size=60), IDS, st.integers(1, 8))
def test_neighbours_are_the_nearest_of_all_that_are_in_the_table(
    own: bytes, ids: list[bytes], key: bytes, k: int
) -> None:
    made = table(own, ids, ksize=4)
    kept = [node for bucket in made.buckets for node in bucket.get_nodes()]
    expected = sorted((n for n in kept if n.id != key), key=Node(key).distance_to)[:k]
    found = made.find_neighbors(Node(key), k=k)
    assert [node.id for node in found] == [node.id for node in expected]


@given(st.lists(IDS, unique=True, max_size=60))
def test_buckets_above_the_farms_size_hold_the_farm(ids: list[bytes]) -> None:
    made = table(b"\0" * 20, ids, ksize=64)
    assert made.complete
    assert sum(len(bucket) for bucket in made.buckets) == len(ids)


@given(st.lists(IDS, unique=True, min_size=1, max_size=60))
def test_every_id_has_its_bucket_and_leaves_it(ids: list[bytes]) -> None:
    edges = [b"\0" * 20, b"\xff" * 20, b"\x7f" + b"\xff" * 19, b"\x80" + b"\0" * 19]
    made = table(b"\x01" * 20, [*ids, *edges], ksize=4)
    for bucket in made.buckets:
        assert all(bucket.has_in_range(node) for node in bucket.get_nodes())
    for node_id in {*ids, *edges}:
        made.remove_contact(contact(node_id))
    assert made.find_neighbors(Node(b"\x02" * 20), k=100) == []


def test_a_contact_that_moved_is_found_at_its_new_address() -> None:
    made = table(b"\0" * 20, [b"\1" * 20], ksize=4)
    made.add_contact(contact(b"\1" * 20, port=9999))
    assert [node.port for node in made.find_neighbors(Node(b"\2" * 20))] == [9999]


def test_a_full_bucket_promotes_a_replacement() -> None:
    far = [bytes([0x80 | n]) + b"\0" * 19 for n in range(8)]
    made = table(b"\0" * 20, far, ksize=4)
    assert not made.complete
    for node_id in far[:4]:
        made.remove_contact(contact(node_id))
    assert len(made.find_neighbors(Node(b"\0" * 20), k=8)) == 4


class FakeFarm:
    """Answers FIND_NODE out of every node's own table; some nodes are silent."""

    def __init__(self, size: int, ksize: int, seed: int) -> None:
        chance = random.Random(seed)
        self.ids = [chance.randbytes(20) for _ in range(size)]
        self.tables = {own: FarmTable(None, ksize, contact(own)) for own in self.ids}
        for own, made in self.tables.items():
            for other in chance.sample(self.ids, size):
                if other != own:
                    made.add_contact(contact(other))
        self.source_node = contact(self.ids[0])
        self.silent: set[bytes] = set()
        self.asked = 0

    async def call_find_node(self, peer: Node, target: Node) -> tuple[bool, list[Node] | None]:
        self.asked += 1
        if peer.id in self.silent:
            await asyncio.sleep(60)
        return True, self.tables[peer.id].find_neighbors(target)

    async def lookup(self, key: bytes, k: int, timeout_s: float) -> tuple[list[bytes], int]:
        target = Node(key)
        start = self.tables[self.ids[0]].find_neighbors(target)
        lookup = Lookup(self, target, start, k, 3)
        found = await lookup.find_within(timeout_s)
        nearest = [node.id for node in found]
        return nearest, max(lookup.depth[node_id] for node_id in nearest)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1 << 32))
def test_a_lookup_finds_the_nearest_nodes_in_few_hops(seed: int) -> None:
    farm = FakeFarm(size=200, ksize=8, seed=seed)
    key = random.Random(seed + 1).randbytes(20)
    found, hops = asyncio.run(farm.lookup(key, 8, 5.0))
    others = farm.ids[1:]
    nearest = sorted(others, key=lambda n: Node(key).distance_to(Node(n)))
    assert set(nearest[:3]) <= set(found)
    assert hops <= 5
    assert farm.asked < 60


def test_one_hop_is_enough_where_buckets_hold_the_farm() -> None:
    farm = FakeFarm(size=60, ksize=64, seed=3)
    key = b"\x42" * 20
    found, hops = asyncio.run(farm.lookup(key, 8, 5.0))
    nearest = sorted(farm.ids[1:], key=lambda n: Node(key).distance_to(Node(n)))
    assert found[:8] == nearest[:8]
    assert hops <= 1


def test_hops_grow_with_the_logarithm_of_the_farm() -> None:
    means = []
    for size in (50, 200, 800):
        farm = FakeFarm(size=size, ksize=4, seed=size)
        chance = random.Random(size)
        hops = [asyncio.run(farm.lookup(chance.randbytes(20), 4, 5.0))[1] for _ in range(10)]
        means.append(sum(hops) / len(hops))
    # Each step halves the distance at least k-fold: log2(800 / 4) is 7.6.
    assert means[0] <= 4
    assert means[2] <= 7.6
    assert means[2] - means[0] <= 4, means


def test_a_table_whose_replacements_were_many_does_not_forget_that_it_is_not_whole() -> None:
    far = [bytes([0x80, n]) + b"\0" * 18 for n in range(60)]
    made = table(b"\0" * 20, far, ksize=4)
    for node_id in far[:40]:
        made.remove_contact(contact(node_id))
    assert len(made.find_neighbors(Node(b"\0" * 20), k=60)) == 4
    assert not made.complete


def test_a_lookup_with_silent_peers_ends_at_its_deadline_with_what_it_found() -> None:
    farm = FakeFarm(size=60, ksize=8, seed=1)
    farm.silent = set(farm.ids[1::2])
    found, _ = asyncio.run(farm.lookup(b"\x42" * 20, 8, 0.2))
    assert found


@given(st.lists(IDS, unique=True, min_size=8, max_size=80), IDS, st.integers(1, 4))
def test_a_table_that_is_certain_of_the_nearest_is_right(
    ids: list[bytes], key: bytes, count: int
) -> None:
    made = table(b"\0" * 20, [node_id for node_id in ids if node_id != b"\0" * 20], ksize=4)
    found = made.find_neighbors(Node(key), k=count)
    farthest = Node(key).distance_to(found[-1])
    everybody = [Node(node_id) for node_id in ids if node_id not in (b"\0" * 20, key)]
    nearest = sorted(everybody, key=Node(key).distance_to)[:count]
    if made.certain(Node(key), farthest):
        assert [node.id for node in found] == [node.id for node in nearest]
    if made.complete:
        assert made.certain(Node(key), farthest)


def test_a_table_is_certain_near_its_own_id_and_not_far_away() -> None:
    chance = random.Random(4)
    own = b"\0" * 20
    made = table(own, [chance.randbytes(20) for _ in range(300)], ksize=8)
    near, far = Node(b"\0" * 19 + b"\1"), Node(b"\xff" * 20)
    for key, expected in ((near, True), (far, False)):
        farthest = key.distance_to(made.find_neighbors(key, k=3)[-1])
        assert made.certain(key, farthest) is expected


def test_hearsay_is_not_passed_on() -> None:
    made = table(b"\0" * 20, [b"\1" * 20], ksize=4)
    made.add_contact(TableContact(contact(b"\2" * 20).info, proven=False))
    assert len(made.find_neighbors(Node(b"\3" * 20))) == 2
    assert [n.id for n in made.find_neighbors(Node(b"\3" * 20), proven=True)] == [b"\1" * 20]
