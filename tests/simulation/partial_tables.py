"""Lookups in a farm that has more nodes than a routing table has room for, up to 10,000.

In: how many nodes, a seed, settings. Out: a `Report`. Counterparts: `partial_tables_main.py` prints
and judges it; `test_partial_tables.py` plays smaller farms. `big_farm.py` plays whole daemons, of
which a machine has memory for a thousand.

Real are the routing tables, the lookup and its order, what a node answers, which links it keeps,
and the encoding of every frame. In the place of links, gossip and probes: every node knows every
other (or as many as it may), in an order of its own; it has had a link to those whose links it
keeps, and to those that it asked. A frame takes half a millisecond. A node is made when it is first
asked, as it would be each time: 10,000 at once would hold 10^8 contacts.
"""

import asyncio
import gc
import logging
import random
import time
import tracemalloc
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from heapq import nsmallest
from statistics import median
from typing import cast

from overlay.config_sections import Overlay
from overlay.dht.table import Contact, FarmTable
from overlay.errors import UnavailableError
from overlay.limits import FRAME_HEADER_BYTES, MEMBERS_MAX
from overlay.links.messages import (
    PROTOCOL_VERSION,
    Failed,
    FindNode,
    Hello,
    NodeInfo,
    Reply,
    Traits,
    decode,
    encode,
)
from overlay.links.network import Transport
from overlay.membership.kept_links import choose
from overlay.membership.membership import Membership
from tests.simulation.big_farm import BigLoop
from tests.simulation.clock import VirtualLoop

FRAME_S = 0.0005
"""From one node to another."""
DIAL_FRAMES = 6
"""TCP and TLS 1.3 take a round trip each, the two Hellos another."""
LOOKUP_S = 2.0
"""How long a lookup may take, of the farm's time."""
NODES_KEPT = 400
"""Nodes in memory at a time."""
ORDERS = 16
"""In which nodes have heard of all others."""
SAMPLED = 40
"""Nodes whose tables are looked at."""


@dataclass(frozen=True, kw_only=True)
class Lookups:
    """What lookups from nodes chosen by chance, for keys chosen by chance, came to."""

    count: int
    right: int
    """Found the very N living nodes that are nearest to the key in the whole farm."""
    hops_mean: float
    """To the N: 1 where the asking node knew them all."""
    hops_max: int
    questions_mean: float
    dials_mean: float
    """Of the questions, those for which a link had to be opened."""
    bytes_mean: float
    """Of the questions and answers, without TLS and TCP, and without dials."""
    ms_p50: float
    ms_max: float
    """Of the farm's time."""
    cpu_ms: float
    """Of this machine, a lookup, everything that the asked nodes do for it included."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one farm showed."""

    nodes: int
    seed: int
    known_max: int
    """Other nodes that a node may know."""
    partial: float
    """Share of the tables that have no room for all that the node knows."""
    contacts: float
    """In a table, those that wait for room left out; the mean."""
    certain: float
    """Share of the keys for which the table alone tells a node who is nearest: no lookup."""
    table_bytes: float
    """Memory of a node's table with everything in it."""
    whole: Lookups
    """While all nodes live."""
    crashed: Lookups
    """After a third has crashed at once, half of those with their hosts, and no node has noticed
    more than that its own links to the others broke."""
    noticed: Lookups
    """After all nodes have learned of it."""
    real_s: float


class _Farm:
    """All nodes, and the wire between them."""

    def __init__(
        self, count: int, seed: int, settings: Overlay, known_max: int, loop: VirtualLoop
    ) -> None:
        self.seed, self.settings, self.known_max, self.loop = seed, settings, known_max, loop
        self.chance = random.Random(seed)
        traits = Traits(transports=("tls", "wss"))
        self.infos = [
            NodeInfo(
                node_id=self.chance.randbytes(20),
                name=f"n{number}",
                host=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
                port=settings.port,
                traits=traits,
            )
            for number in range(count)
        ]
        self.by_host = {info.host: info for info in self.infos}
        self.proven = {info.node_id: Contact(info) for info in self.infos}
        self.hearsay = {info.node_id: Contact(info, proven=False) for info in self.infos}
        """Contacts never change, so all tables have the same."""
        self._orders = [self.chance.sample(self.infos, count) for _ in range(ORDERS)]
        self.met: dict[bytes, set[bytes]] = {info.node_id: set() for info in self.infos}
        """By node, those that a lookup linked it to."""
        self.refusing: set[bytes] = set()
        """Nodes whose daemon crashed: a dial is refused."""
        self.silent: set[bytes] = set()
        """Nodes whose host crashed: a dial has no answer."""
        self.noticed = False
        self.questions = self.dials = self.bytes = 0
        self.building_s = 0.0
        """CPU time that went into making nodes, which is no part of a lookup."""
        self._nodes: OrderedDict[bytes, Membership] = OrderedDict()
        self._links: dict[bytes, set[bytes]] = {}

    @property
    def dead(self) -> set[bytes]:
        """All that crashed."""
        return self.refusing | self.silent

    def living(self) -> list[NodeInfo]:
        """The others."""
        dead = self.dead
        return [info for info in self.infos if info.node_id not in dead]

    def crash_a_third(self) -> None:
        """Half of them with their hosts."""
        dead = self.chance.sample(self.infos, len(self.infos) // 3)
        for info in dead:
            (self.silent if self.chance.random() < 0.5 else self.refusing).add(info.node_id)
        self.forget_nodes()

    def forget_nodes(self) -> None:
        """Make all anew: what they know has changed."""
        self._nodes.clear()
        self._links.clear()

    def node(self, info: NodeInfo) -> Membership:
        """A node, made if it is not in memory."""
        made = self._nodes.get(info.node_id)
        if made is None:
            began_s = time.process_time()
            made = self._nodes[info.node_id] = self._made(info)
            self.building_s += time.process_time() - began_s
            if len(self._nodes) > NODES_KEPT:
                gone, _ = self._nodes.popitem(last=False)
                self._links.pop(gone, None)
        self._nodes.move_to_end(info.node_id)
        return made

    def others_of(self, info: NodeInfo) -> list[NodeInfo]:
        """Those that a node knows, in the order in which it heard of them."""
        order = self._orders[info.node_id[-1] % ORDERS]
        return [each for each in order if each is not info][: self.known_max]

    def linked(self, asker: NodeInfo, node_id: bytes) -> bool:
        """Whether the two have a link; one to a crashed daemon is broken by its kernel."""
        has = node_id in self._links[asker.node_id] or node_id in self.met[asker.node_id]
        return has and node_id not in self.refusing

    def meet(self, one: NodeInfo, other: NodeInfo) -> None:
        """A link has come up: each has proof of the other."""
        for mine, its in ((one, other), (other, one)):
            self.met[mine.node_id].add(its.node_id)
            if mine.node_id in self._nodes:
                router = self._nodes[mine.node_id].dht.router
                router.add_contact(self.proven[its.node_id])

    def _made(self, info: NodeInfo) -> Membership:
        membership = Membership(
            info,
            self.settings,
            cast(Transport, _Wire(self, info)),
            self.chance,
            _nowhere,
            1,
            lambda: 0,
        )
        others = self.others_of(info)
        dead = self.dead
        links = self._kept(info, others)
        if dead and self.noticed:
            links |= self._kept(info, [each for each in others if each.node_id not in dead])
        self._links[info.node_id] = links
        proven = links | self.met[info.node_id]
        router = membership.dht.router
        for each in others:
            known = self.proven if each.node_id in proven else self.hearsay
            router.add_contact(known[each.node_id])
        # A link to a daemon that crashed breaks at once, and the dial that follows is refused.
        gone = dead if self.noticed else proven & self.refusing
        for node_id in [each.node_id for each in others if each.node_id in gone]:
            router.remove_contact(self.proven[node_id])
        return membership

    def _kept(self, info: NodeInfo, others: Iterable[NodeInfo]) -> set[bytes]:
        numbers = (self.proven[each.node_id].long_id for each in others)
        own: int = self.proven[info.node_id].long_id
        return {each.to_bytes(20) for each in choose(own, numbers, self.settings.links_kept)}


class _Wire:
    """The part of `Transport` that lookups use, at one node."""

    def __init__(self, farm: _Farm, own: NodeInfo) -> None:
        self._farm = farm
        self._own = own

    def linked(self, node_id: bytes) -> bool:
        return self._farm.linked(self._own, node_id)

    async def dial(self, host: str, port: int, timeout_s: float) -> Hello:
        farm, other = self._farm, self._farm.by_host[host]
        farm.dials += 1
        if other.node_id in farm.silent:
            await asyncio.sleep(timeout_s)
            raise UnavailableError("no answer")
        if other.node_id in farm.refusing:
            await asyncio.sleep(2 * FRAME_S)
            raise UnavailableError("refused")
        await asyncio.sleep(DIAL_FRAMES * FRAME_S)
        farm.meet(self._own, other)
        return Hello(
            version_min=PROTOCOL_VERSION,
            version_max=PROTOCOL_VERSION,
            farm="farm.test",
            node=other,
            incarnation=1,
        )

    def ask(self, node_id: bytes, request: FindNode, timeout_s: float) -> "asyncio.Future[Reply]":
        return asyncio.ensure_future(self._asked(node_id, request, timeout_s))

    async def _asked(self, node_id: bytes, request: FindNode, timeout_s: float) -> Reply:
        farm = self._farm
        farm.questions += 1
        farm.bytes += FRAME_HEADER_BYTES + len(encode(request))
        if node_id in farm.silent:
            await asyncio.sleep(timeout_s)
            return Failed(code="unavailable", reason="no answer")
        await asyncio.sleep(FRAME_S)
        node = farm.node(farm.proven[node_id].info)
        answer = encode(node.dht.answer_find_node(request.target, self._own.node_id))
        farm.bytes += FRAME_HEADER_BYTES + len(answer)
        await asyncio.sleep(FRAME_S)
        return cast(Reply, decode(answer))


async def _nowhere() -> AsyncIterator[list[tuple[str, int]]]:
    """There is nothing to begin with: all are known."""
    yield []


def table_bytes(nodes: int, bucket_size: int) -> float:
    """Memory of a table in a farm of so many nodes, the contacts themselves included."""
    chance = random.Random(nodes)
    infos = [
        NodeInfo(node_id=chance.randbytes(20), name=f"n{n}", host=f"192.0.2.{n}", port=7460)
        for n in range(nodes)
    ]
    own = Contact(infos[0])
    # Started by somebody else, it is not for us to stop.
    mine = not tracemalloc.is_tracing()
    if mine:
        tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    table = FarmTable(None, bucket_size, own)
    for info in infos[1:]:
        table.add_contact(Contact(info))
    after, _ = tracemalloc.get_traced_memory()
    if mine:
        tracemalloc.stop()
    return after - before


async def _look_up(farm: _Farm, count: int) -> Lookups:
    living = farm.living()
    numbers = {farm.proven[info.node_id].long_id: info.node_id for info in living}
    replicas = farm.settings.replicas
    farm.questions = farm.dials = farm.bytes = 0
    farm.building_s = 0.0
    hops, took_s, right, cpu_s = list[int](), list[float](), 0, 0.0
    for _ in range(count):
        info, key = farm.chance.choice(living), farm.chance.randbytes(20)
        node = farm.node(info)
        wanted = int.from_bytes(key)
        nearest = nsmallest(replicas, numbers, key=lambda number: number ^ wanted)
        before, began_s = node.lookup_hops, farm.loop.time()
        cpu_began_s, built_s = time.process_time(), farm.building_s
        found = await node.lookup(key, replicas, LOOKUP_S)
        cpu_s += time.process_time() - cpu_began_s - (farm.building_s - built_s)
        took_s.append(farm.loop.time() - began_s)
        hops.append(max(node.lookup_hops - before, 1))
        right += [each.node_id for each in found] == [numbers[number] for number in nearest]
        farm.loop.tasks.clear()
    return Lookups(
        count=count,
        right=right,
        hops_mean=sum(hops) / count,
        hops_max=max(hops),
        questions_mean=farm.questions / count,
        dials_mean=farm.dials / count,
        bytes_mean=farm.bytes / count,
        ms_p50=1000 * median(took_s),
        ms_max=1000 * max(took_s),
        cpu_ms=1000 * cpu_s / count,
    )


def _certain(farm: _Farm, keys: int) -> float:
    """Share of keys for which a node's table alone tells who is nearest."""
    sure = 0
    for _ in range(keys):
        node = farm.node(farm.chance.choice(farm.infos[:SAMPLED]))
        key = farm.chance.randbytes(20)
        sure += node.surely_nearest(key, farm.settings.replicas) is not None
    return sure / keys


async def _play(farm: _Farm, lookups: int, say: Callable[[str], None]) -> Report:
    began_s = time.monotonic()
    routers = [farm.node(info).dht.router for info in farm.infos[:SAMPLED]]
    partial = sum(not router.complete for router in routers) / len(routers)
    contacts = sum(len(list(router.contacts())) for router in routers) / len(routers)
    certain = _certain(farm, 25 * SAMPLED)
    nodes = len(farm.infos)
    say(f"{nodes} nodes: lookups")
    whole = await _look_up(farm, lookups)
    say(f"{nodes} nodes: lookups right after a third crashed")
    farm.crash_a_third()
    crashed = await _look_up(farm, lookups)
    say(f"{nodes} nodes: lookups when all know")
    farm.noticed = True
    farm.forget_nodes()
    noticed = await _look_up(farm, lookups)
    return Report(
        nodes=nodes,
        seed=farm.seed,
        known_max=farm.known_max,
        partial=partial,
        contacts=contacts,
        certain=certain,
        table_bytes=table_bytes(nodes, farm.settings.bucket_size),
        whole=whole,
        crashed=crashed,
        noticed=noticed,
        real_s=time.monotonic() - began_s,
    )


def run(
    nodes: int,
    seed: int,
    *,
    lookups: int = 300,
    known_max: int = MEMBERS_MAX,
    settings: Overlay | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Play one farm; `say` hears what it is at."""
    logger = logging.getLogger("kademlia")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    loop = BigLoop(random.Random(seed))
    # There is no garbage in circles, and all those contacts take long to look through.
    collecting = gc.isenabled()
    gc.disable()

    async def play() -> Report:
        farm = _Farm(nodes, seed, settings or Overlay(), known_max, loop)
        return await _play(farm, lookups, say)

    try:
        return loop.run_until_complete(play())
    finally:
        loop.end()
        logger.setLevel(level)
        if collecting:
            gc.enable()
