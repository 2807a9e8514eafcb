"""P7: how farms of up to 1,000 nodes behave, on virtual time.

In: farm sizes. Out: readings from the reports of `tests/simulation/big_farm.py`, which runs the
real daemons on a simulated network. It measures no CPU of a farm, so its result gives none.
"""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from bench.plan import Plan
from bench.processes import MeasureError
from bench.reading import Reading

_SIZES = (10, 1_000)
_SIZES_QUICK = (10, 20)
_QUICK_S = 2.0
"""A plan with shorter rounds is a quick one."""
_ROOT = Path(__file__).parents[2]


def reports(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """One a farm, in this order; raises `MeasureError`."""
    return [_report(size) for size in sizes]


@cache
def _report(nodes: int) -> dict[str, Any]:
    """Of a seed that is always the same, so once is enough: 1,000 nodes take ten minutes."""
    command = [sys.executable, "-m", "tests.simulation.main", "--farm", str(nodes), "--json"]
    # What it is at goes where the benchmark's own progress does.
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if len(lines) != 1:
        raise MeasureError(f"a simulated farm of {nodes}: exit status {done.returncode}")
    found: dict[str, Any] = msgspec.json.decode(lines[0])
    return found


def run(plan: Plan) -> list[Reading]:
    """Measure; raises `MeasureError`."""
    small, large = reports(_SIZES if plan.seconds >= _QUICK_S else _SIZES_QUICK)
    nodes = f"{large['nodes']} simulated nodes"
    lost = sum(each["survived"] - each["found"] for each in (small, large))
    return [
        Reading(
            name="hops of a lookup",
            unit="mean",
            goal=2.0,
            ours=(large["hops_mean"],),
            note=f"{nodes}; {large['hops_max']} at most",
        ),
        Reading(
            name="traffic at rest",
            unit=f"times that of {small['nodes']} nodes",
            goal=1.5,
            ours=(large["bytes_per_s"] / small["bytes_per_s"],),
            note=f"{large['bytes_per_s']:.0f} bytes/s a node of {nodes}",
        ),
        Reading(
            name="records not found after a third crashed",
            unit=f"of {small['survived'] + large['survived']} with a live replica",
            goal=0.0,
            ours=(float(lost),),
            note=f"{large['crashed']} of {nodes} at once; all knew within {large['known_s']:.1f} s",
        ),
        Reading(
            name="replicas complete again",
            unit="s",
            goal=60.0,
            ours=(large["replicas_s"],),
            note=f"on virtual time, after a third of {nodes} crashed",
        ),
    ]
