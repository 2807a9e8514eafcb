"""Measures a large lab: how long it takes to start, to notice a kill and to let a node join; the
cost of a node at rest.

In: a number of nodes, the services to run. Out: a line for each figure. Counterpart:
`test_many_hosts.py`, which asserts that as many hosts reach each other. Run as
`python -m tests.farm.big_lab --nodes 60`, as root, through `deploy/apart`.
"""

import argparse
import sys
import time
from pathlib import Path

from deploy.lab import Lab, LabError, processes, services
from tests.farm.asking import eventually
from tests.farm.failure_detection import described, verdicts_s

JOIN_WITHIN_S = 120.0
SETTLED_CPU_S = 10.0
"""How long a lab that has just changed is left alone before it is said to be at rest."""


def cpu_s(lab: Lab) -> dict[str, float]:
    """CPU seconds of all nodes' processes so far, by service."""
    pids = processes.of_hosts(lab.nodes)
    found = dict.fromkeys(services.ALL, 0.0)
    for node in lab.nodes:
        for service, of_service in processes.of_services(
            node, services.ALL, pids[node.name]
        ).items():
            found[service] += sum(map(_run_s, of_service))
    return found


def _run_s(pid: int) -> float:
    """What the scheduler gave all threads of a process, unrounded (sched-stats.rst)."""
    tasks = Path(f"/proc/{pid}/task")
    texts = [(task / "schedstat").read_text(encoding="ascii") for task in tasks.iterdir()]
    return sum(int(text.split()[0]) for text in texts) / 1e9


def pass_s(seconds: float) -> None:
    """Let so much time pass."""
    until_s = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= until_s, "time passes", seconds + 60)


def at_rest(lab: Lab, lasting_s: float) -> str:
    """CPU of a node at rest, by service."""
    pass_s(SETTLED_CPU_S)
    before, began_s = cpu_s(lab), time.monotonic()
    pass_s(lasting_s)
    after, share = cpu_s(lab), (time.monotonic() - began_s) * len(lab.nodes)
    ms = {name: 1000 * (after[name] - before[name]) / share for name in after}
    parts = ", ".join(f"{name} {each:.1f}" for name, each in ms.items())
    return f"{sum(ms.values()):.1f} ms of CPU a node and second ({parts})"


def memory_mib(lab: Lab) -> dict[str, float]:
    """Memory of all nodes' processes by service, what is shared counted once (Pss)."""
    pids = processes.of_hosts(lab.nodes)
    found = dict.fromkeys(services.ALL, 0.0)
    for node in lab.nodes:
        for service, of_service in processes.of_services(
            node, services.ALL, pids[node.name]
        ).items():
            for pid in of_service:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
                kib = next(line for line in text.splitlines() if line.startswith("Pss:"))
                found[service] += int(kib.split()[1]) / 1024
    return found


_BEGAN_S = time.monotonic()


def _say(line: str) -> None:
    print(f"{time.monotonic() - _BEGAN_S:6.1f} s: {line}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="big_lab", description=__doc__)
    parser.add_argument("--nodes", type=int, default=60)
    parser.add_argument("--processes", default=",".join(services.ALL))
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--rest-seconds", type=float, default=30.0)
    options = parser.parse_args()
    which = options.processes.split(",")
    began_s = time.monotonic()
    lab = Lab.up(options.nodes, which=which, report=_say)
    try:
        print(f"{options.nodes} nodes are up after {time.monotonic() - began_s:.1f} s", flush=True)
        mib = memory_mib(lab)
        parts = ", ".join(f"{name} {each / options.nodes:.1f}" for name, each in mib.items())
        each = sum(mib.values()) / options.nodes
        print(f"memory: {each:.0f} MiB a node ({parts})", flush=True)
        print(f"at rest: {at_rest(lab, options.rest_seconds)}", flush=True)
        took: list[float] = []
        for number in range(1, options.kills + 1):
            victim = lab.nodes[number].name
            took += verdicts_s(lab, victim, lambda victim=victim: lab.kill(victim))
            lab.start(victim)
            lab.wait_ready(every_service=True, timeout_s=JOIN_WITHIN_S)
        if took:
            print(f"kill: each survivor: {described(took)}", flush=True)
        joined = f"n{options.nodes + 1}"
        try:
            took_s = lab.join(joined, report=_say, timeout_s=JOIN_WITHIN_S)
            print(f"{joined} serves {took_s:.1f} s after it got its token", flush=True)
        except LabError as error:
            print(f"{joined} does not join: {error}", flush=True)
        print(f"at rest: {at_rest(lab, options.rest_seconds)}", flush=True)
    finally:
        Lab.down()


if __name__ == "__main__":
    main()
