"""Restarts every node of a farm in turn while phones call and register, as an upgrade does.

In: a lab, rates. Out: how many requests failed, how long a node was away, whether every call is on
record. Counterparts: `tests/sip/rolling_load.py`; `test_rolling.py`, which is short.
`python -m tests.farm.rolling` prints the figures of R4's rates.
"""

import argparse
import asyncio
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from deploy.lab import Lab
from tests.farm.asking import add_subscriber, all_records, eventually, sipfarm_json
from tests.farm.raw_phone import site_in_lab
from tests.sip.rolling_load import Places, RollingLoad, Tally

CALLEE_USER = "rolled"
_CALLEE = "p1"
_CALLER = "p2"
_REGISTERING = "p4"
WAITING_S = 0.4
"""A phone registers when its last REGISTER is answered; there are enough for so long a wait."""
DRAIN_S = 60
_SETTLED_S = 30.0


@dataclass
class Rolled:
    """What came of it."""

    tally: Tally = field(default_factory=Tally)
    away_s: dict[str, float] = field(default_factory=dict)
    """From the node's stop until it was ready again."""
    drained_s: dict[str, float] = field(default_factory=dict)
    complete: int = 0
    """Calls whose one record is complete, at the node that finds the fewest."""


@contextmanager
def under_load(load: RollingLoad) -> Iterator[Tally]:
    """Phones call and register as long as the block lasts; then all calls end."""
    loop = asyncio.new_event_loop()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            loop.run_until_complete(load.run())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield load.tally
    finally:
        loop.call_soon_threadsafe(load.stop)
        thread.join()
        loop.close()
        if failures:
            raise failures[0]


@contextmanager
def lab_under_load(
    lab: Lab, *, calls_per_s: int, registers_per_s: int, transports: Sequence[str]
) -> Iterator[Tally]:
    """The same with subscribers and phone hosts of the lab."""
    users = [f"rolling-{number}" for number in range(round(registers_per_s * WAITING_S))]
    places = Places(
        callee=site_in_lab(lab, _CALLEE),
        callers=site_in_lab(lab, _CALLER),
        registering=site_in_lab(lab, _REGISTERING),
    )
    rates = {"calls_per_s": calls_per_s, "registers_per_s": registers_per_s}
    load = RollingLoad(places, CALLEE_USER, users, **rates, transports=transports)
    for user in (*users, CALLEE_USER):
        add_subscriber(lab, user)
    try:
        with under_load(load) as tally:
            yield tally
    finally:
        for user in (*users, CALLEE_USER):
            sipfarm_json(lab, lab.nodes[0].name, "subscriber", "remove", f"{user}@{lab.farm}")


def restart_each(
    lab: Lab, *, calls_per_s: int, registers_per_s: int, transports: Sequence[str] = ("udp",)
) -> Rolled:
    """Drain, stop and start every node in turn under load."""
    rolled = Rolled()
    with lab_under_load(
        lab, calls_per_s=calls_per_s, registers_per_s=registers_per_s, transports=transports
    ) as tally:
        rolled.tally = tally
        eventually(lambda: tally.asked["BYE"] > 0, "calls go on")
        for node in lab.nodes:
            began_s = time.monotonic()
            assert sipfarm_json(lab, node.name, "node", "drain", "--wait", str(DRAIN_S))["drained"]
            rolled.drained_s[node.name] = time.monotonic() - began_s
            stopped_s = time.monotonic()
            lab.stop(node.name)
            lab.start(node.name)
            lab.wait_ready(every_service=True)
            rolled.away_s[node.name] = time.monotonic() - stopped_s
    placed = tally.asked["INVITE"]

    def recorded() -> bool:
        found = [all_records(lab, node.name, tally.prefix) for node in lab.nodes]
        rolled.complete = min(sum(r.state == "complete" for r in each) for each in found)
        return rolled.complete == placed and all(len(each) == placed for each in found)

    if not tally.failed:
        eventually(recorded, f"all {placed} calls are on record, complete", _SETTLED_S)
    return rolled


def main() -> int:
    """Print what came of a rolling restart at the rates that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=3, help="of the farm (default 3)")
    parser.add_argument("--calls", type=int, default=100, help="calls a second (default 100)")
    parser.add_argument(
        "--registers", type=int, default=100, help="REGISTERs a second (default 100)"
    )
    options = parser.parse_args()
    lab = Lab.up(options.nodes)
    try:
        rolled = restart_each(lab, calls_per_s=options.calls, registers_per_s=options.registers)
    finally:
        Lab.down()
    tally = rolled.tally
    print(f"asked: {dict(tally.asked)}; senders: {dict(tally.counts)}")
    for name, away_s in rolled.away_s.items():
        print(f"{name}: drained in {rolled.drained_s[name]:.1f} s, away for {away_s:.1f} s")
    print(f"failed: {len(tally.failed)} (goal 0); calls complete on record: {rolled.complete}")
    for each in [*tally.failed, *tally.refusals][:60]:
        print(f"  {each}")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
