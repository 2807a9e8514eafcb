"""Plays lookups in farms of up to 10,000 nodes, more than a routing table has room for.

In: the number of nodes, a seed, settings. Out: a `Report`. Counterparts: `partial_tables_main.py`,
which prints and judges it; `test_partial_tables.py`, which plays smaller farms; `big_farm.py`,
which plays whole daemons, for a thousand of which a machine has memory.
"""

import gc
import logging
import random
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from heapq import nsmallest
from statistics import median

from overlay.base.limits import MEMBERS_MAX
from overlay.config.sections import OverlaySection
from overlay.dht.table import FarmTable, TableContact
from overlay.records.node_info import NodeInfo
from tests.simulation.big_farm import BigLoop
from tests.simulation.table_farm import TableFarm

LOOKUP_S = 2.0
"""How long a lookup may take, of the farm's time."""
KEYS = 400
"""That they are asked for."""
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
    certain_wrong: int
    """Of KEYS keys, those for which it tells the wrong nodes."""
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


def table_bytes(nodes: int, bucket_size: int) -> float:
    """Memory of a table in a farm of so many nodes, the contacts themselves included."""
    chance = random.Random(nodes)
    infos = [
        NodeInfo(node_id=chance.randbytes(20), name=f"n{n}", host=f"192.0.2.{n}", port=7460)
        for n in range(nodes)
    ]
    own = TableContact(infos[0])
    # Started by somebody else, it is not for us to stop.
    mine = not tracemalloc.is_tracing()
    if mine:
        tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    table = FarmTable(None, bucket_size, own)
    for info in infos[1:]:
        table.add_contact(TableContact(info))
    after, _ = tracemalloc.get_traced_memory()
    if mine:
        tracemalloc.stop()
    return after - before


async def _look_up(farm: TableFarm, count: int) -> Lookups:
    living = farm.living()
    replicas = farm.settings.replicas
    farm.questions = farm.dials = farm.bytes = 0
    farm.building_s = 0.0
    hops, took_s, right, cpu_s = list[int](), list[float](), 0, 0.0
    for _ in range(count):
        info, key = farm.chance.choice(living), farm.chance.randbytes(20)
        node = farm.node(info)
        before, began_s = node.lookup_hops, farm.loop.time()
        cpu_began_s, built_s = time.process_time(), farm.building_s
        found = await node.lookup(key, replicas, LOOKUP_S)
        cpu_s += time.process_time() - cpu_began_s - (farm.building_s - built_s)
        took_s.append(farm.loop.time() - began_s)
        hops.append(max(node.lookup_hops - before, 1))
        right += [each.node_id for each in found] == _nearest(farm, key)
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


def _certain(farm: TableFarm, keys: int) -> tuple[float, int]:
    """Share of keys for which a node's table alone tells who is nearest, and how many of these
    tables are wrong."""
    sure = wrong = 0
    for _ in range(keys):
        node = farm.node(farm.chance.choice(farm.infos[:SAMPLED]))
        key = farm.chance.randbytes(20)
        told = node.surely_nearest(key, farm.settings.replicas)
        if told is not None:
            sure += 1
            wrong += [each.node_id for each in told] != _nearest(farm, key)
    return sure / keys, wrong


def _nearest(farm: TableFarm, key: bytes) -> list[bytes]:
    """The ids of the N living nodes that are nearest to the key in the whole farm."""
    wanted = int.from_bytes(key)
    ways = ((int.from_bytes(info.node_id) ^ wanted, info.node_id) for info in farm.living())
    return [node_id for _, node_id in nsmallest(farm.settings.replicas, ways)]


async def _play(farm: TableFarm, lookups: int, say: Callable[[str], None]) -> Report:
    began_s = time.monotonic()
    routers = [farm.node(info).dht.router for info in farm.infos[:SAMPLED]]
    partial = sum(not router.complete for router in routers) / len(routers)
    contacts = sum(len(list(router.contacts())) for router in routers) / len(routers)
    certain, certain_wrong = _certain(farm, KEYS)
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
        certain_wrong=certain_wrong,
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
    settings: OverlaySection | None = None,
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
        farm = TableFarm(nodes, seed, settings or OverlaySection(), known_max, loop)
        return await _play(farm, lookups, say)

    try:
        return loop.run_until_complete(play())
    finally:
        loop.end()
        logger.setLevel(level)
        if collecting:
            gc.enable()
