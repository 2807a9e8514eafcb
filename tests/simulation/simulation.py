"""Plays one run: a farm, its users, its faults, and the final check.

In: a seed. Out: a `Result`, the same for the same seed and the same code. Counterparts: `main.py`,
which plays many seeds; `test_seeds.py`, which plays some in every test run.
"""

import asyncio
import gc
import logging
import random
from dataclasses import dataclass
from typing import Any

from tests.simulation import checks
from tests.simulation.clients import Clients
from tests.simulation.clock import Stuck, VirtualLoop
from tests.simulation.faults import Fault, World, disk_plan, plan
from tests.simulation.host import Host
from tests.simulation.ledger import Ledger
from tests.simulation.wires import Wires

END_S_MAX = 300.0
COLLECT_EVERY = 5
"""Seeds; collecting garbage takes a tenth of a seed's time."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one seed."""

    seed: int
    nodes: int
    faults: list[Fault]
    problems: list[str]
    trace: str
    """Hash over everything that happened."""
    events: int
    registrations: int
    lookups: int
    messages: int
    virtual_s: float
    join_s: float
    """How long after mending until every node saw every other."""
    converge_s: float
    """How long after that until all copies were the same."""


class _Errors(logging.Handler):
    """Exceptions that the daemon logs are bugs."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._problems.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


def run(seed: int, nodes: int = 0, log_level: int = logging.CRITICAL) -> Result:
    """Play one seed; `nodes` 0: the seed decides."""
    chance = random.Random(seed)
    loop = VirtualLoop(random.Random(chance.random()))
    logger = logging.getLogger("overlay")
    before = logger.level, logger.propagate
    errors = _Errors(loop.problems)
    logger.addHandler(errors)
    logger.setLevel(min(log_level, logging.ERROR))
    logger.propagate = log_level < logging.CRITICAL
    collecting = gc.isenabled()
    gc.disable()
    story = _Story(seed, nodes, chance, loop)
    try:
        loop.run_until_complete(asyncio.wait_for(story.play(), END_S_MAX))
    except (Stuck, TimeoutError) as error:
        loop.problems.append(f"the run came to no end: {error!r}")
    finally:
        problems = loop.end()
        logger.removeHandler(errors)
        logger.level, logger.propagate = before
        logger.manager._clear_cache()
        for host in story.hosts:
            host.disk.remove()
        if seed % COLLECT_EVERY == 0:
            gc.collect()
        if collecting:
            gc.enable()
    return story.result(problems)


class _Story:
    def __init__(self, seed: int, nodes: int, chance: random.Random, loop: VirtualLoop) -> None:
        self.seed = seed
        self.loop = loop
        self.chance = chance
        self.wires = loop.wires = Wires(loop, random.Random(chance.random()))
        self.wires.delay_s = chance.choice(((0.0001, 0.0005), (0.0005, 0.004), (0.002, 0.02)))
        self.wires.loss = chance.choice((0.0, 0.0, 0.0, 0.005, 0.02))
        count = chance.choice((3, 3, 4, 5, 6))
        settings: dict[str, Any] = {
            "repair_interval_ms": 1_000,
            "lease_ms": chance.choice((500, 2_000, 30_000)),
        }
        self.hosts = [
            Host(number, loop, self.wires, str(seed), settings)
            for number in range(1, (nodes or count) + 1)
        ]
        self.ledger = Ledger()
        self.duration_s = chance.choice((2.0, 4.0, 6.0))
        names = [host.name for host in self.hosts]
        self.faults = plan(chance, names, self.duration_s)
        self.faults += disk_plan(random.Random(f"{seed} disks"), names, self.duration_s)
        self.join_s = self.converge_s = 0.0

    async def play(self) -> None:
        """From the first start to the reckoning."""
        hosts, ledger = self.hosts, self.ledger
        for host in hosts:
            await host.start()
        if self.chance.random() < 0.8:
            await checks.joined(hosts, ledger)
        chance = random.Random(self.chance.random())
        clients = Clients(hosts, self.wires, ledger, chance, str(self.seed))
        clients.start(callers=3, phones=4, lookers=2)
        world = World(hosts, self.wires)
        happening = [self.loop.create_task(world.happen(fault)) for fault in self.faults]
        until_s = self.loop.time() + self.duration_s
        while self.loop.time() < until_s:
            await asyncio.sleep(0.25)
            checks.check_bounds(hosts, ledger)
        await asyncio.gather(*happening)
        await world.mend()
        await clients.finish()
        left = [host for host in hosts if not host.gone]
        self.join_s = await checks.joined(left, ledger)
        self.converge_s = await checks.converged(left, ledger)
        await checks.check_promises(left, clients, ledger)
        checks.check_bounds(hosts, ledger)
        for host in left:
            await host.stop()

    def result(self, problems: list[str]) -> Result:
        ledger = self.ledger
        self.wires.note(ledger.broken)
        return Result(
            seed=self.seed,
            nodes=len(self.hosts),
            faults=self.faults,
            problems=[*problems, *ledger.broken],
            trace=self.wires.trace.hexdigest(),
            events=len(ledger.events),
            registrations=sum(phone.acked for phone in ledger.phones),
            lookups=ledger.lookups,
            messages=self.wires.messages,
            virtual_s=self.loop.time(),
            join_s=self.join_s,
            converge_s=self.converge_s,
        )
