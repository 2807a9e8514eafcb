"""The command line of the benchmarks.

In: names of benchmarks. Out: their results on stdout, progress on stderr. Exit status: 0 when
everything was measured, whether or not it reached its goal; 1 when something could not be measured;
2 for a wrong command line; 3 when, with `--guard`, a ratio is worse than its recorded value.
"""

import argparse
import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from bench import (
    billed_call,
    curves,
    detection,
    durable_write,
    guard,
    lookup,
    memory,
    name_service,
    overload,
    proxied_call,
    registration,
    report,
    rolling_restart,
    scale,
    simulated,
)
from bench import results as results_folder
from bench.curves import Curve
from bench.farm import data_directory
from bench.measure import Comparison
from bench.plan import Plan
from bench.processes import MeasureError
from bench.reading import Reading

from overlay.base.errors import SipfarmError

_LOCK = Path("/run/sipfarm-bench.lock")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A figure that is compared with a peer's."""

    title: str
    unit: str
    goal: Callable[[int], float]
    """The ratio to stay below, by the number of nodes."""
    rate: float
    run: Callable[[Plan], Comparison]


BENCHMARKS = {
    "P1": Benchmark(
        title="CPU of a proxied call, beside native stateless Kamailio, usrloc in memory",
        unit="ours/peer (CPU us per call)",
        goal=lambda _nodes: 1.0,
        rate=proxied_call.RATE,
        run=proxied_call.run,
    ),
    "P2": Benchmark(
        title="CPU of a billed call, beside Kamailio tm+dialog+acc with one PostgreSQL",
        unit="ours/peer (CPU us per call)",
        goal=lambda _nodes: 0.6,
        rate=billed_call.RATE,
        run=billed_call.run,
    ),
    "P3": Benchmark(
        title="farm-wide CPU of a REGISTER, beside dmq_usrloc with as many nodes",
        unit="ours/peer (CPU us per REGISTER)",
        goal=registration.goal,
        rate=registration.RATE,
        run=registration.run,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Figures that have goals of their own."""

    title: str
    run: Callable[[Plan], list[Reading]]


MEASUREMENTS = {
    "P4": Measurement(title="how long a lookup takes, hot and cold", run=lookup.run),
    "P5": Measurement(title="how long a durable write takes", run=durable_write.run),
    "P6": Measurement(title="memory of a binding, and restart with 300,000", run=memory.run),
    "P7": Measurement(title="simulated farms of up to 1,000 nodes", run=simulated.run),
    "R2": Measurement(title="how soon the survivors know of a fault", run=detection.run),
    "R4": Measurement(title="restarts of every node under load", run=rolling_restart.run),
    "R5": Measurement(title="too many calls, and 50,000 phones at once", run=overload.run),
    "DNS": Measurement(title="how many questions a node's DNS answers", run=name_service.run),
}
SCALE = "SCALE"
NAMES = (*BENCHMARKS, *MEASUREMENTS, SCALE)
ALL = "all"


def main(arguments: Sequence[str]) -> int:
    """Measure what the command line names and print it; the exit status."""
    args = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    if os.geteuid() != 0:
        print("the benchmarks make network namespaces, which only root may: sudo", file=sys.stderr)
        return 1
    machine, versions = report.machine(), report.versions()
    failed = 0
    measured: list[report.Result | report.ReadingResult] = []
    try:
        with _LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name in NAMES if ALL in args.names else args.names:
                try:
                    if name == SCALE:
                        results = _scale(args, machine, versions)
                    else:
                        results = _measure(name, args, machine, versions)
                except (MeasureError, SipfarmError, OSError, RuntimeError) as error:
                    print(f"{name}: not measured: {error}", file=sys.stderr, flush=True)
                    failed += 1
                else:
                    measured += results
                    if measured:
                        results_folder.keep(args.results, measured)
                    for result in results:
                        text = report.as_json(result) if args.json else report.as_text(result)
                        print(text, flush=True)
    except BlockingIOError:
        print("another benchmark is running", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; everything is cleaned up", file=sys.stderr)
        return 130
    worse = guard.complaints(measured, guard.recorded()) if args.guard else []
    for complaint in worse:
        print(f"worse than it was: {complaint}", file=sys.stderr)
    return 1 if failed else 3 if worse else 0


@contextmanager
def _planned(args: argparse.Namespace) -> Iterator[Plan]:
    folder = data_directory()
    with tempfile.TemporaryDirectory(prefix="sipfarm-bench-", dir=folder) as work_dir:
        # PostgreSQL does not run as root and has to pass through.
        Path(work_dir).chmod(0o755)
        yield Plan(
            rounds=args.rounds or (2 if args.quick else 5),
            seconds=args.seconds or (1.5 if args.quick else 5.0),
            nodes=args.nodes,
            users=60 if args.quick else 300,
            work_dir=Path(work_dir),
        )


def _scale(
    args: argparse.Namespace, machine: report.Machine, versions: dict[str, str]
) -> list[report.Result | report.ReadingResult]:
    print(f"{SCALE}: how costs grow …", file=sys.stderr, flush=True)

    def tell(what: str) -> None:
        print(f"{SCALE}: {what} …", file=sys.stderr, flush=True)

    found: list[Curve] = []
    readings: list[Reading] = []
    with _planned(args) as plan:
        for one in scale.run(plan, tell):
            if isinstance(one, Reading):
                readings.append(one)
                continue
            found.append(one)
            lines = curves.keep(args.results, found, machine, versions)
            print(lines[-1] if args.json else curves.as_text(one), flush=True)
        return [report.reading_result("P3", r, plan.nodes, machine, versions) for r in readings]


def _measure(
    name: str,
    args: argparse.Namespace,
    machine: report.Machine,
    versions: dict[str, str],
) -> list[report.Result | report.ReadingResult]:
    title = (BENCHMARKS.get(name) or MEASUREMENTS[name]).title
    print(f"{name}: {title} …", file=sys.stderr, flush=True)
    with _planned(args) as plan:
        if name in MEASUREMENTS:
            readings = MEASUREMENTS[name].run(plan)
            return [report.reading_result(name, r, plan.nodes, machine, versions) for r in readings]
        return [_compared(name, plan, machine, versions)]


def _compared(
    name: str, plan: Plan, machine: report.Machine, versions: dict[str, str]
) -> report.Result:
    benchmark = BENCHMARKS[name]
    comparison = benchmark.run(plan)
    goal = benchmark.goal(plan.nodes)
    return report.Result(
        name=name,
        title=benchmark.title,
        goal=goal,
        value=round(comparison.ratio, 3),
        value_min=round(min(comparison.ratios), 3),
        value_max=round(max(comparison.ratios), 3),
        unit=benchmark.unit,
        holds=comparison.ratio <= goal,
        ours=report.side_result(comparison.ours),
        peer=report.side_result(comparison.peer),
        rounds=report.rounds_of(comparison),
        work_per_round=plan.count(benchmark.rate),
        rate=benchmark.rate,
        nodes=1 if name == "P1" else plan.nodes,
        machine=machine,
        versions=versions,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description="Measure the farm beside its peers, in the same run."
    )
    names = f"{', '.join(NAMES)}, or {ALL}"
    parser.add_argument("names", nargs="+", choices=(*NAMES, ALL), metavar="NAME", help=names)
    parser.add_argument(
        "--results",
        type=Path,
        default=results_folder.FOLDER,
        metavar="DIR",
        help="where results.jsonl, .md and .svg are written (default: tests/bench/results)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--quick", action="store_true", help="only see whether it can be measured")
    parser.add_argument(
        "--guard",
        action="store_true",
        help="fail when P1 to P3 are worse than tests/bench/recorded.toml says, by its margin",
    )
    parser.add_argument("--rounds", type=_positive_int, default=0, metavar="K")
    parser.add_argument(
        "--seconds", type=_positive_float, default=0.0, metavar="S", help="of load a round and side"
    )
    parser.add_argument(
        "--nodes",
        type=int,
        choices=range(3, 10),
        default=3,
        metavar="N",
        help="3 to 9; P1 has one",
    )
    return parser


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError("must be above 0 and at most 3600")
    return value


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
