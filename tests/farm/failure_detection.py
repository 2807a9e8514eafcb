"""Measures in the lab how long until every survivor knows of a fault, by the daemons' logs.

In: a lab of overlay daemons. Out: seconds from the fault to each survivor's verdict. Counterpart:
`test_failure_detection.py`, which asserts on a few trials. `python -m tests.farm.failure_detection`
prints the figures of many.
"""

import argparse
import re
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from deploy.lab import Lab, processes
from tests.farm.asking import eventually

OVERLAY = "overlay"
NODES = 9
_LOSS_TABLE = "sipfarm_loss"
_LINE = re.compile(r"^(\S+ \S+) \S+ overlay\.membership\S*: (.*)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Said:
    """A line that a node's membership logged."""

    time_s: float
    text: str


class Logs:
    """What the nodes log from a moment on."""

    def __init__(self, lab: Lab) -> None:
        self._files = {node.name: node.log(OVERLAY) for node in lab.nodes}
        self._begin = {name: file.stat().st_size for name, file in self._files.items()}

    def of(self, name: str) -> list[Said]:
        """The lines of one node."""
        with self._files[name].open("rb") as file:
            file.seek(self._begin[name])
            text = file.read().decode("utf-8", errors="replace")
        return [
            Said(
                time_s=datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp(),
                text=said,
            )
            for stamp, said in _LINE.findall(text)
        ]

    def count(self, names: list[str], ending: str) -> int:
        """How many lines of these nodes end so."""
        return sum(said.text.endswith(ending) for name in names for said in self.of(name))


def others(lab: Lab, victim: str) -> list[str]:
    """All nodes but this one."""
    return [node.name for node in lab.nodes if node.name != victim]


def verdicts_s(lab: Lab, victim: str, fault: Callable[[], None]) -> list[float]:
    """Seconds from the fault until each of the others takes the victim for dead."""
    logs, survivors = Logs(lab), others(lab, victim)
    verdict = f"{victim} is dead"

    def first(name: str) -> float | None:
        return next((s.time_s for s in logs.of(name) if s.text == verdict), None)

    began_s = time.time()
    fault()
    eventually(lambda: all(map(first, survivors)), f"all know that {victim} is dead", 20)
    wrong = logs.count(survivors, " is dead") - len(survivors)
    assert not wrong, f"{wrong} other nodes were taken for dead when {victim} was lost"
    # The log's clock is cut to milliseconds.
    return [max(0.0, (first(name) or 0.0) - began_s) for name in survivors]


def kill(lab: Lab, victim: str) -> list[float]:
    """SIGKILL the daemon; the farm is whole again afterwards."""
    pids = processes.of_service(lab.node(victim), OVERLAY)
    took = verdicts_s(lab, victim, lambda: processes.send(pids, signal.SIGKILL))
    lab.start(victim, OVERLAY)
    lab.wait_ready(every_service=True)
    return took


def freeze(lab: Lab, victim: str) -> list[float]:
    """SIGSTOP the daemon; thawed, it takes nobody for dead, and nobody takes it for dead."""
    pids = processes.of_service(lab.node(victim), OVERLAY)
    took = verdicts_s(lab, victim, lambda: processes.send(pids, signal.SIGSTOP))
    logs = Logs(lab)
    processes.send(pids, signal.SIGCONT)
    lab.wait_ready(every_service=True)
    blamed = logs.count([node.name for node in lab.nodes], " is dead")
    assert not blamed, f"{blamed} nodes were taken for dead when {victim} was thawed"
    return took


def cut(lab: Lab, victim: str) -> list[float]:
    """Cut the host off; both sides meet again afterwards."""
    took = verdicts_s(lab, victim, lambda: lab.cut([victim]))
    lab.heal()
    lab.wait_ready(every_service=True)
    return took


FAULTS = {"kill": kill, "freeze": freeze, "cut": cut}


@contextmanager
def loss(lab: Lab, percent: int) -> Iterator[None]:
    """So many of a hundred packets between daemons vanish, either way."""
    port = lab.config(lab.nodes[0].name).overlay.port
    drop = f"numgen random mod 100 < {percent} counter drop"
    rules = [f"{way} {port} {drop}" for way in ("tcp dport", "tcp sport", "udp dport")]
    chain = "\n".join(["type filter hook forward priority 0", *rules])
    table = f"table bridge {_LOSS_TABLE} {{\nchain forward {{\n{chain}\n}}\n}}\n"
    subprocess.run(["nft", "-f", "-"], input=table, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "bridge", _LOSS_TABLE], check=True)


def false_positives(lab: Lab, percent: int, lasting_s: float) -> tuple[int, int]:
    """Nodes taken for dead, and probes missed, while packets vanish and nobody is dead."""
    logs = Logs(lab)
    names = [node.name for node in lab.nodes]
    with loss(lab, percent):
        end_s = time.monotonic() + lasting_s
        eventually(lambda: time.monotonic() >= end_s, "time passes", lasting_s + 5)
        dead, missed = logs.count(names, " is dead"), logs.count(names, " missed a probe")
    return dead, missed


def cpu_share(lab: Lab, lasting_s: float) -> float:
    """The mean share of a core that one daemon at rest takes."""

    def ticks() -> int:
        total = 0
        for node in lab.nodes:
            for pid in processes.of_service(node, OVERLAY):
                with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                    fields = file.read().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total

    before, began_s = ticks(), time.monotonic()
    eventually(lambda: time.monotonic() >= began_s + lasting_s, "time passes", lasting_s + 5)
    return (ticks() - before) / 100 / (time.monotonic() - began_s) / len(lab.nodes)


def described(took: list[float]) -> str:
    """p50, p99 and max in ms."""
    ms = sorted(1000 * each for each in took)
    p99 = ms[min(len(ms) - 1, int(0.99 * len(ms)))]
    return f"p50 {statistics.median(ms):.0f} ms, p99 {p99:.0f} ms, max {ms[-1]:.0f} ms"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="failure_detection", description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--loss-seconds", type=float, default=60.0)
    parser.add_argument("--faults", default=",".join(FAULTS))
    options = parser.parse_args()
    lab = Lab.up(options.nodes, which=(OVERLAY,))
    try:
        print(f"at rest: {100 * cpu_share(lab, 20):.2f} % of a core a daemon", flush=True)
        for name in filter(None, options.faults.split(",")):
            took: list[float] = []
            last: list[float] = []
            for trial in range(options.trials):
                each = FAULTS[name](lab, f"n{1 + trial % options.nodes}")
                took += each
                last.append(max(each))
            print(f"{name}: each survivor: {described(took)}", flush=True)
            print(f"{name}: the last survivor: {described(last)}", flush=True)
        if options.loss_seconds:
            dead, missed = false_positives(lab, 20, options.loss_seconds)
            print(f"20 % loss, {options.loss_seconds:g} s: {dead} dead, {missed} probes missed")
    finally:
        Lab.down()


if __name__ == "__main__":
    main()
