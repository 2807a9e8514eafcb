"""Prints the result of `tests/simulation/run --farm 10,50,200,1000`, and judges it by its goals.

In: farm sizes. Out: a line for each farm, or a JSON object; the missed goals. Counterpart:
`big_farm.py`, which plays the farms.
"""

import json
import resource
import sys
from dataclasses import asdict

from tests.simulation.big_farm import REPLICAS_S_MAX, Report, run

HOPS_MEAN_MAX = 2.0
FLAT_FACTOR_MAX = 1.5
"""By how much a large farm's traffic at rest may exceed a small one's, node by node."""
HEAD = (
    "nodes  joined  links mean/max  frames/s  bytes/s  hops mean/max"
    "  crashed  known  found      replicas  real time"
)


def line(report: Report) -> str:
    """One row under HEAD."""
    return (
        f"{report.nodes:5d}  {report.joined_s:4.1f} s"
        f"  {report.links_mean:6.1f} /{report.links_max:5d}"
        f"  {report.frames_per_s:8.1f}  {report.bytes_per_s:7.0f}"
        f"  {report.hops_mean:8.2f} /{report.hops_max:2d}"
        f"  {report.crashed:7d}  {report.known_s:3.1f} s  {report.found:4d}/{report.survived:4d}"
        f"  {report.replicas_s:6.1f} s  {report.real_s:7.0f} s"
    )


def missed(reports: list[Report]) -> list[str]:
    """The goals that these farms, smallest first, did not reach; empty: all is well."""
    found: list[str] = []
    for report in reports:
        who = f"{report.nodes} nodes"
        found += [f"{who}: {problem}" for problem in report.problems[:8]]
        if report.hops_mean > HOPS_MEAN_MAX:
            found.append(f"{who}: {report.hops_mean:.2f} hops a lookup, at most {HOPS_MEAN_MAX:g}")
        if report.found < report.survived:
            found.append(f"{who}: {report.survived - report.found} records are not found")
        if report.replicas_s >= REPLICAS_S_MAX:
            found.append(f"{who}: N replicas not within {REPLICAS_S_MAX:g} s")
    first, last = reports[0], reports[-1]
    for name in ("frames_per_s", "bytes_per_s"):
        before, after = getattr(first, name), getattr(last, name)
        if after > before * FLAT_FACTOR_MAX:
            found.append(
                f"{name} at rest: {before:.0f} with {first.nodes}, {after:.0f} with {last.nodes}"
            )
    return found


def _say(text: str) -> None:
    """A thousand nodes take a quarter of an hour."""
    print(text, file=sys.stderr, flush=True)


def main(sizes: list[int], seed: int, as_json: bool) -> int:
    """Play a farm of each size; 0 if every goal was reached."""
    reports: list[Report] = []
    if not as_json:
        print(f"seed {seed}\n{HEAD}", flush=True)
    for size in sorted(sizes):
        reports.append(run(size, seed, _say))
        print(json.dumps(asdict(reports[-1])) if as_json else line(reports[-1]), flush=True)
    goals = missed(reports)
    if not as_json:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
        print(*(f"missed: {goal}" for goal in goals), sep="\n", end="\n" if goals else "")
        print(f"{'missed' if goals else 'reached'}; {memory:.1f} GiB of memory at most")
    if goals:
        numbers = ",".join(str(size) for size in sizes)
        print(f"again: tests/simulation/run --farm {numbers} --seed {seed}")
    return 1 if goals else 0
