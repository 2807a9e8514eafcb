"""Prints the result of `tests/simulation/run --tables 1000,4000,10000`, and judges it by its goals.

In: farm sizes. Out: three lines for each farm, or a JSON object; the goals that were missed.
Counterpart: `partial_tables.py`, which plays the farms.
"""

import json
import sys
from dataclasses import asdict

from tests.simulation.partial_tables import KEYS, LOOKUP_S, Lookups, Report, run

HOPS_MEAN_MAX = 2.0
HEAD = (
    "nodes  partial  contacts  certain  table        while           right  hops mean/max"
    "  questions  dials    bytes  time p50/max         CPU"
)


def lines(report: Report) -> list[str]:
    """Three rows under HEAD."""
    farm = (
        f"{report.nodes:5d}  {100 * report.partial:5.0f} %  {report.contacts:8.0f}"
        f"  {100 * report.certain:5.0f} %  {report.table_bytes / 1e6:4.1f} MB"
    )
    rows = {
        "all live": report.whole,
        "1/3 just died": report.crashed,
        "all know it": report.noticed,
    }
    return [
        f"{farm if name == 'all live' else '':44s}  {name:14s}{_columns(each)}"
        for name, each in rows.items()
    ]


def _columns(lookups: Lookups) -> str:
    return (
        f"{lookups.right:4d}/{lookups.count:4d}"
        f"  {lookups.hops_mean:8.2f} /{lookups.hops_max:2d}"
        f"  {lookups.questions_mean:9.1f}  {lookups.dials_mean:5.1f}"
        f"  {lookups.bytes_mean:7.0f}  {lookups.ms_p50:4.0f} /{lookups.ms_max:5.0f} ms"
        f"  {lookups.cpu_ms:5.1f} ms"
    )


def missed(report: Report) -> list[str]:
    """The goals that a farm did not reach; empty: all is well."""
    found: list[str] = []
    if report.certain_wrong:
        wrong = f"{report.certain_wrong} of {KEYS}"
        found.append(f"{report.nodes} nodes: for {wrong} keys a table tells the wrong nodes")
    kinds = {"": report.whole, " after a crash": report.crashed, " later": report.noticed}
    for when, lookups in kinds.items():
        who = f"{report.nodes} nodes{when}"
        if lookups.hops_mean > HOPS_MEAN_MAX:
            found.append(f"{who}: {lookups.hops_mean:.2f} hops, at most {HOPS_MEAN_MAX:g}")
        if lookups.right < lookups.count:
            wrong = lookups.count - lookups.right
            found.append(f"{who}: {wrong} of {lookups.count} lookups found others than the nearest")
        if lookups.ms_max > 1000 * LOOKUP_S:
            found.append(f"{who}: a lookup took {lookups.ms_max:.0f} ms")
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(sizes: list[int], seed: int, lookups: int, known_max: int, as_json: bool) -> int:
    """Play a farm of each size, whose nodes know so many others at most (0: all); 0 if every goal
    was reached."""
    goals: list[str] = []
    if not as_json:
        print(f"seed {seed}\n{HEAD}", flush=True)
    for size in sorted(sizes):
        report = run(size, seed, lookups=lookups, known_max=known_max or size, say=_say)
        goals += missed(report)
        print(json.dumps(asdict(report)) if as_json else "\n".join(lines(report)), flush=True)
    if not as_json:
        print(*(f"missed: {goal}" for goal in goals), sep="\n", end="\n" if goals else "")
        print("missed" if goals else "reached")
    return 1 if goals else 0
