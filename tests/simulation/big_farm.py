"""Plays one large farm: its costs at rest, and its recovery from the loss of a third of its nodes.

In: the number of nodes, a seed, settings. Out: a `Report`. Counterparts: `big_farm_main.py`, which
prints and judges it; `test_big_farm.py`, which plays a smaller farm with few links and small
buckets.

The nodes come in groups, get records, rest, and are asked for the records. Then a third of them
crashes at once, half of those together with their hosts. Everything is the daemon's own code. Only
the trace is left out.
"""

import asyncio
import gc
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from overlay.base.frames import FrameBuffer
from overlay.base.limits import LINK_FRAME_BYTES_MAX
from overlay.control import operator_messages, proxy_messages
from overlay.membership.members import LIVING
from overlay.records.call import CallEvent, EventKind, event_id
from overlay.records.names import RecordKind, key_of
from overlay.records.register import ContactChange
from tests.simulation.clock import VirtualLoop
from tests.simulation.host import Host
from tests.simulation.wires import End, Wires

GROUPS = 20
GROUP_PAUSE_S = 0.5
LOOKUPS = 300
REST_S = 5.0
POLL_S = 0.25
JOIN_S_MAX = 60.0
KNOWN_S_MAX = 30.0
REPLICAS_S_MAX = 60.0
ASK_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one farm showed; times are the farm's own unless they say otherwise."""

    nodes: int
    seed: int
    joined_s: float
    """From the start of the last group until every node saw every other."""
    links_mean: float
    """At rest, those that were opened for requests and are not idle for long enough included."""
    links_max: int
    frames_per_s: float
    """That a node receives at rest."""
    bytes_per_s: float
    """In them, without TLS and TCP."""
    hops_mean: float
    """To the replicas of a record: 1 where they are known and asked at once."""
    hops_max: int
    crashed: int
    known_s: float
    """From the crash until no survivor counted on any of the dead."""
    falsely_dead: int
    """Survivors that another survivor took for dead meanwhile."""
    survived: int
    """Records of which a replica survived."""
    found: int
    """Of those, found at a survivor chosen by chance when the first of them all knew."""
    replicas_s: float
    """From the crash until all of them were on N nodes again."""
    problems: tuple[str, ...]
    virtual_s: float
    real_s: float


class CountingWires(Wires):
    """Counts what arrives, frame by frame, and keeps no trace."""

    frames = 0
    bytes = 0

    def saw(self, end: End, data: bytes) -> None:
        self.bytes += len(data)
        self.frames += len(FrameBuffer(LINK_FRAME_BYTES_MAX).feed(data))


class BigLoop(VirtualLoop):
    """Turns as long as anybody wants to wait."""

    STEPS_MAX = 10**12


def run(
    nodes: int, seed: int, say: Callable[[str], None] = lambda _: None, **settings: Any
) -> Report:
    """Play one farm of so many nodes; `say` hears what it is at."""
    logger = logging.getLogger("overlay")
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False
    collecting = gc.isenabled()
    gc.disable()
    loop = BigLoop(random.Random(seed))
    farm = _Farm(nodes, seed, loop, settings, say)
    try:
        return loop.run_until_complete(farm.play())
    finally:
        loop.end()
        logger.setLevel(level)
        logger.propagate = propagate
        logger.manager._clear_cache()
        for host in farm.hosts:
            host.disk.remove()
        if collecting:
            gc.enable()


class _Farm:
    def __init__(
        self,
        nodes: int,
        seed: int,
        loop: VirtualLoop,
        settings: dict[str, Any],
        say: Callable[[str], None],
    ) -> None:
        self.seed = seed
        self._say = say
        self._began_s = time.monotonic()
        self.loop = loop
        self.chance = random.Random(seed)
        self.wires = loop.wires = CountingWires(loop, random.Random(seed + 1))
        self.hosts = [
            Host(number, loop, self.wires, str(seed), settings) for number in range(1, nodes + 1)
        ]
        self.up = list(self.hosts)
        self.keys: dict[str, bytes] = {}
        """Of the records, by the name of a registration or a call."""
        self.problems: list[str] = []

    async def play(self) -> Report:
        """From the first start to the last replica."""
        self._tell("joins")
        joined_s = await self._join()
        self._tell("writes records")
        await self._write()
        self._tell("is at rest")
        frames, octets = await self._rest()
        links = [len(host.node.membership.linked()) for host in self.up if host.node]
        self._tell("looks records up")
        hops = await self._look_up()
        self._tell("loses a third of its nodes")
        crashed, survived = self._crash()
        crash_s = self.loop.time()
        known_s, falsely_dead = await self._known(crash_s)
        self._tell("looks for what survived")
        found = [name for name in survived if await self._found(name)]
        for name in [name for name in survived if name not in found][:5]:
            self.problems.append(f"{name} is not found, though a replica of it lives")
        self._tell("completes its replicas")
        replicas_s = await self._replicated(survived, crash_s)
        self._prune()
        return Report(
            nodes=len(self.hosts),
            seed=self.seed,
            joined_s=joined_s,
            links_mean=sum(links) / len(links),
            links_max=max(links),
            frames_per_s=frames,
            bytes_per_s=octets,
            hops_mean=sum(hops) / len(hops),
            hops_max=max(hops),
            crashed=crashed,
            known_s=known_s,
            falsely_dead=falsely_dead,
            survived=len(survived),
            found=len(found),
            replicas_s=replicas_s,
            problems=(*self.problems, *self.loop.problems),
            virtual_s=self.loop.time(),
            real_s=time.monotonic() - self._began_s,
        )

    def _tell(self, what: str) -> None:
        passed_s = time.monotonic() - self._began_s
        self._say(f"a farm of {len(self.hosts)} {what}, after {passed_s:.0f} s")

    async def _join(self) -> float:
        size = -(-len(self.hosts) // GROUPS)
        # The two that everybody knows the addresses of come first.
        groups = [
            self.hosts[:2],
            *(self.hosts[n : n + size] for n in range(2, len(self.hosts), size)),
        ]
        for group in groups:
            await asyncio.gather(*(host.start() for host in group))
            await asyncio.sleep(GROUP_PAUSE_S)
        began_s = self.loop.time()
        while not self._everybody_sees_the_living():
            if self.loop.time() - began_s > JOIN_S_MAX:
                self.problems.append(f"not joined after {JOIN_S_MAX:g} s")
                break
            self._prune()
            await asyncio.sleep(POLL_S)
        return self.loop.time() - began_s

    async def _write(self) -> None:
        """A registration and a call for each node."""
        for number in range(len(self.hosts)):
            aor, call_id = f"sip:phone{number}@farm.test", f"call-{number}"
            self.keys[aor] = key_of(RecordKind.REGISTRATION, aor)
            self.keys[call_id] = key_of(RecordKind.CALL, call_id)
            change = ContactChange(uri=f"sip:{number}@192.0.2.1", expires_s=3600)
            register = proxy_messages.Register(
                aor=aor, call_id=f"register-{number}", cseq=1, contacts=(change,)
            )
            event = CallEvent(
                kind=EventKind.START,
                event_id=event_id(EventKind.START, call_id, "one", "two"),
                call_id=call_id,
                from_tag="one",
                to_tag="two",
                time_us=self.hosts[0].now_ms() * 1000,
            )
            for request in (register, proxy_messages.WriteEvent(event=event)):
                answer = await self.chance.choice(self.up).ask(request, ASK_S)
                if not isinstance(answer, proxy_messages.Registered | proxy_messages.Written):
                    self.problems.append(f"a {type(request).__name__} was answered by {answer!r}")

    async def _rest(self) -> tuple[float, float]:
        """Frames and bytes that a node receives in a second in which nobody wants anything."""
        await asyncio.sleep(REST_S)
        self._prune()
        frames, octets = self.wires.frames, self.wires.bytes
        await asyncio.sleep(REST_S)
        share = len(self.up) * REST_S
        return (self.wires.frames - frames) / share, (self.wires.bytes - octets) / share

    async def _look_up(self) -> list[int]:
        """Steps to the replicas of records from nodes chosen by chance; all have to be found."""
        hops: list[int] = []
        for _ in range(LOOKUPS):
            host, name = self.chance.choice(self.up), self.chance.choice(list(self.keys))
            hops.append(await self._hops(host, self.keys[name]))
            if not await self._shown(host, name):
                self.problems.append(f"{host.name} does not find {name}")
        return hops

    async def _hops(self, host: Host, key: bytes) -> int:
        assert host.node is not None
        assert host.process is not None
        node = host.node
        before = node.membership.lookup_hops
        nodes = await self.loop.start_in(host.process, node.records.placement.find(key, ASK_S))
        expected = {near.name for near in self._replicas(key)}
        if {info.name for info in nodes} != expected:
            got = sorted(info.name for info in nodes)
            self.problems.append(f"{host.name} looks for a record at {got}, not {sorted(expected)}")
        return max(node.membership.lookup_hops - before, 1)

    def _crash(self) -> tuple[int, list[str]]:
        """A third dies; how many that is, and the records that survive it."""
        dead = self.chance.sample(self.up, len(self.up) // 3)
        self.up = [host for host in self.up if host not in dead]
        for host in dead:
            host.crash(power=self.chance.random() < 0.5)
        survived = [n for n, key in self.keys.items() if any(_holds(h, n, key) for h in self.up)]
        return len(dead), survived

    async def _known(self, crash_s: float) -> tuple[float, int]:
        names = {host.name for host in self.up}
        falsely: set[str] = set()
        known_s = 0.0
        while not known_s or self.loop.time() < crash_s + known_s + 1.0:
            await asyncio.sleep(POLL_S)
            self._prune()
            falsely |= {
                f"{host.name} took {member.info.name} for dead"
                for host in self.up
                if host.node is not None
                for member in host.node.membership.members
                if member.state not in LIVING and member.info.name in names
            }
            if not known_s and self._everybody_sees_the_living():
                known_s = self.loop.time() - crash_s
            if self.loop.time() - crash_s > KNOWN_S_MAX:
                self.problems.append(f"not all knew after {KNOWN_S_MAX:g} s")
                break
        self.problems += sorted(falsely)[:5]
        return known_s or KNOWN_S_MAX, len(falsely)

    async def _found(self, name: str) -> bool:
        return await self._shown(self.chance.choice(self.up), name)

    async def _replicated(self, names: list[str], crash_s: float) -> float:
        while True:
            missing = [
                f"{name} is not at {host.name}"
                for name in names
                for host in self._replicas(self.keys[name])
                if not _holds(host, name, self.keys[name])
            ]
            if not missing:
                return self.loop.time() - crash_s
            if self.loop.time() - crash_s > REPLICAS_S_MAX:
                self.problems += missing[:5]
                return REPLICAS_S_MAX
            await asyncio.sleep(POLL_S)
            self._prune()

    async def _shown(self, host: Host, name: str) -> bool:
        if name.startswith("sip:"):
            located = await host.ask(proxy_messages.Locate(aor=name), ASK_S)
            return isinstance(located, proxy_messages.Located) and bool(located.targets)
        shown = await host.ask(operator_messages.ShowCall(call_id=name), ASK_S)
        return isinstance(shown, operator_messages.Calls) and len(shown.calls) == 1

    def _everybody_sees_the_living(self) -> bool:
        """As many as live; the falsely dead and the falsely living are looked for elsewhere."""
        return all(
            host.node is not None and len(host.node.membership.alive()) == len(self.up)
            for host in self.up
        )

    def _replicas(self, key: bytes) -> list[Host]:
        target = int.from_bytes(key)
        near = sorted(self.up, key=lambda h: int.from_bytes(h.identity.node_id) ^ target)
        return near[: self.hosts[0].config.overlay.replicas]

    def _prune(self) -> None:
        """Look at what tasks have come to, and forget those that are done."""
        self.loop.tasks = [task for task in self.loop.tasks if not task.done()]
        for host in self.hosts:
            if host.process is not None:
                self.problems += host.process.failed_tasks()


def _holds(host: Host, name: str, key: bytes) -> bool:
    if host.node is None:
        return False
    if name.startswith("sip:"):
        return host.node.bindings.get(key) is not None
    return bool(host.disk.records.events(key))
