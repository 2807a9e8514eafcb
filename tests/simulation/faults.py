"""Plans faults and lets them happen: crashes, freezes, cuts, clocks, disks.

In: chance. Out: a plan of faults, and their effect on hosts and wires at their time. Counterpart:
`simulation.py`, which plays the plan and mends everything afterwards.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.simulation.host import Host
from tests.simulation.wires import Wires


class Kind(StrEnum):
    """What can happen."""

    KILL = "kill"
    POWER = "power"
    """The host is gone without a word, and boots again."""
    RESTART = "restart"
    """As SIGTERM and a start do."""
    DESTROY = "destroy"
    """Power and disk are lost; it comes back empty."""
    FOREVER = "forever"
    """The host never comes back."""
    FREEZE = "freeze"
    CUT = "cut"
    """The hosts are cut off from the others, not from each other."""
    ONE_WAY = "one-way"
    """What they send does not arrive."""
    BREAK = "break"
    """All connections between two hosts are reset."""
    SLOW = "slow"
    LOSS = "loss"
    CLOCK = "clock"
    DISK_FULL = "disk-full"
    DISK_SLOW = "disk-slow"
    REDIS = "redis"
    LIE = "lie"
    """A disk says that commits are safe while they are in its cache alone."""
    ROT = "rot"
    """Some rows on a disk change; nobody is told."""
    FAILING = "failing"
    """Commits and syncs fail, now and then."""


WEIGHTS = {
    Kind.KILL: 5,
    Kind.POWER: 3,
    Kind.RESTART: 3,
    Kind.DESTROY: 1,
    Kind.FOREVER: 1,
    Kind.FREEZE: 4,
    Kind.CUT: 5,
    Kind.ONE_WAY: 3,
    Kind.BREAK: 3,
    Kind.SLOW: 2,
    Kind.LOSS: 2,
    Kind.CLOCK: 3,
    Kind.DISK_FULL: 2,
    Kind.DISK_SLOW: 2,
    Kind.REDIS: 1,
}
ONCE = {Kind.DESTROY, Kind.FOREVER}
"""One lost disk is fewer than W; two may take the last copy with them, which is nobody's fault."""
CLOCK_JUMPS_MS = (-90_000, -5_000, -500, 500, 5_000, 90_000, 3_600_000, -3_600_000)


LIARS = 0.3
"""Share of the runs in which a disk lies, and loses its power."""
FAILING = 0.2
"""Share of the runs in which a device fails for a while."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that happens."""

    at_s: float
    kind: Kind
    hosts: tuple[str, ...]
    for_s: float
    clock_ms: int = 0

    def __str__(self) -> str:
        text = f"{self.at_s:.3f} s: {self.kind} {','.join(self.hosts)} for {self.for_s:.2f} s"
        return f"{text} by {self.clock_ms} ms" if self.clock_ms else text


def plan(chance: random.Random, names: list[str], duration_s: float) -> list[Fault]:
    """Faults by the time at which they happen."""
    faults: list[Fault] = []
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    spent = False
    for _ in range(chance.choice((0, 1, 2, 2, 3, 3, 4, 5))):
        (kind,) = chance.choices(kinds, weights)
        if kind in ONCE:
            if spent or len(names) < 4:
                continue
            spent = True
        count = chance.randint(1, max(1, len(names) // 2)) if kind in (Kind.CUT, Kind.KILL) else 1
        if kind is Kind.BREAK:
            count = 2
        faults.append(
            Fault(
                at_s=chance.uniform(0.5, duration_s),
                kind=kind,
                hosts=tuple(chance.sample(names, min(count, len(names)))),
                for_s=chance.choice((0.05, 0.3, 0.8, 1.5, 3.0)) * chance.uniform(0.5, 1.0),
                clock_ms=chance.choice(CLOCK_JUMPS_MS) if kind is Kind.CLOCK else 0,
            )
        )
    return sorted(faults, key=lambda fault: fault.at_s)


def disk_plan(chance: random.Random, names: list[str], duration_s: float) -> list[Fault]:
    """What befalls disks in some runs, beside the faults of `plan`."""
    faults = [
        Fault(
            at_s=chance.uniform(0.5, duration_s),
            kind=Kind.ROT,
            hosts=(chance.choice(names),),
            for_s=0.0,
        )
        for _ in range(chance.choice((0, 0, 1, 2)))
    ]
    if chance.random() < FAILING:
        host, at_s, for_s = chance.choice(names), chance.uniform(0.5, duration_s), 1.0
        faults.append(Fault(at_s=at_s, kind=Kind.FAILING, hosts=(host,), for_s=for_s))
    if chance.random() < LIARS:
        host, at_s, for_s = chance.choice(names), chance.uniform(0.5, duration_s), 3.0
        faults.append(Fault(at_s=at_s, kind=Kind.LIE, hosts=(host,), for_s=for_s))
        # It does no harm unless the power goes meanwhile.
        power_s = at_s + chance.uniform(0.1, for_s)
        faults.append(Fault(at_s=power_s, kind=Kind.POWER, hosts=(host,), for_s=0.5))
    return faults


class World:
    """Makes faults happen, and everything well again."""

    def __init__(self, hosts: list[Host], wires: Wires) -> None:
        self.hosts = {host.name: host for host in hosts}
        self.wires = wires
        self._busy: set[str] = set()
        """Hosts that are going down or coming up."""

    async def happen(self, fault: Fault) -> None:
        """One fault from its beginning to its end."""
        await asyncio.sleep(fault.at_s)
        self.wires.note(str(fault))
        hosts = [self.hosts[name] for name in fault.hosts if not self.hosts[name].gone]
        if fault.kind in (Kind.KILL, Kind.POWER, Kind.RESTART, Kind.DESTROY, Kind.FOREVER):
            await asyncio.gather(*(self._outage(host, fault) for host in hosts))
            return
        undo = self._begin(fault, hosts)
        await asyncio.sleep(fault.for_s)
        undo()

    async def mend(self) -> None:
        """The end of all faults: everything is as it should be, but what is gone for good."""
        wires = self.wires
        wires.cut.clear()
        wires.slow.clear()
        wires.loss = 0.0
        for host in self.hosts.values():
            host.disk.full = host.disk.failing = False
            host.disk.slow_s = 0.0
            host.thaw()
            host.set_clock(0)
            if not host.redis.up:
                host.redis.restart()
        wires.healed()
        for host in self.hosts.values():
            if not host.gone and host.node is None:
                await host.start()

    # inner workings

    async def _outage(self, host: Host, fault: Fault) -> None:
        if host.name in self._busy or host.node is None:
            return
        self._busy.add(host.name)
        try:
            if fault.kind is Kind.RESTART:
                host.thaw()
                await host.stop()
            else:
                host.crash(power=fault.kind is not Kind.KILL)
            if fault.kind in (Kind.DESTROY, Kind.FOREVER):
                host.disk.destroy()
            if fault.kind is Kind.FOREVER:
                host.gone = True
                return
            await asyncio.sleep(fault.for_s)
            await host.start()
        finally:
            self._busy.discard(host.name)

    def _begin(self, fault: Fault, hosts: list[Host]) -> Callable[[], None]:
        """Start it; what ends it."""
        if fault.kind in (Kind.CUT, Kind.ONE_WAY):
            return self._cut(fault.kind, hosts)
        if fault.kind in (Kind.SLOW, Kind.LOSS, Kind.BREAK):
            return self._disturb(fault, hosts)
        undoing = [self._trouble(fault, host) for host in hosts]

        def undo_all() -> None:
            for undo in undoing:
                undo()

        return undo_all

    def _trouble(self, fault: Fault, host: Host) -> Callable[[], None]:
        if fault.kind is Kind.FREEZE:
            host.freeze()
            return host.thaw
        if fault.kind is Kind.CLOCK:
            host.set_clock(host.skew_ms + fault.clock_ms)
            return lambda: None
        if fault.kind is Kind.LIE:
            host.disk.lie()
            return host.disk.flush
        if fault.kind is Kind.ROT:
            host.disk.rot(random.Random(f"{host.name} {fault.at_s}"))
            return lambda: None
        if fault.kind is Kind.FAILING:
            host.disk.failing = True
            return lambda: setattr(host.disk, "failing", False)
        if fault.kind is Kind.DISK_FULL:
            host.disk.full = True
            return lambda: setattr(host.disk, "full", False)
        if fault.kind is Kind.DISK_SLOW:
            host.disk.slow_s = 0.15
            return lambda: setattr(host.disk, "slow_s", 0.0)
        host.redis.up = False
        return host.redis.restart

    def _cut(self, kind: Kind, hosts: list[Host]) -> Callable[[], None]:
        inside = {host.address for host in hosts}
        outside = {host.address for host in self.hosts.values()} - inside
        paths = {(one, two) for one in inside for two in outside}
        if kind is Kind.CUT:
            paths |= {(two, one) for one, two in paths}
        self.wires.cut |= paths

        def heal() -> None:
            self.wires.cut -= paths
            self.wires.healed()

        return heal

    def _disturb(self, fault: Fault, hosts: list[Host]) -> Callable[[], None]:
        wires = self.wires
        addresses = {host.address for host in hosts}
        if fault.kind is Kind.BREAK:
            for end in list(wires.ends):
                if {end.host, end.other.host} == addresses:
                    end.gone(ConnectionResetError("broken"))
            return lambda: None
        if fault.kind is Kind.LOSS:
            wires.loss = 0.1
            return lambda: setattr(wires, "loss", 0.0)
        paths = {(one, two.address) for one in addresses for two in self.hosts.values()}
        wires.slow.update(dict.fromkeys(paths, 0.1))

        def quick_again() -> None:
            for path in paths:
                wires.slow.pop(path, None)

        return quick_again
