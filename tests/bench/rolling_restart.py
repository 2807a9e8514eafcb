"""R4: restarts every node in turn, while 100 calls and 100 REGISTERs a second come in.

Phones and restarts are those of `tests/farm/rolling.py`: a node is drained, stopped and started
again. A request has failed when the phone tried every node in the order of the SRV records, and
none answered it with 200. Every call must be on record, complete.
"""

from collections import Counter

from bench.plan import Plan
from bench.processes import MeasureError
from bench.reading import Reading

from deploy.lab import Lab
from tests.farm.rolling import restart_each

RATE = 100
RATE_QUICK = 10
_QUICK_S = 2.0
"""A plan with shorter rounds is a quick one."""


def run(plan: Plan) -> list[Reading]:
    """Measure; raises `MeasureError` or `LabError` when that is not possible."""
    rate = RATE if plan.seconds >= _QUICK_S else RATE_QUICK
    lab = Lab.up(plan.nodes)
    try:
        rolled = restart_each(lab, calls_per_s=rate, registers_per_s=rate)
    except AssertionError as error:
        raise MeasureError(str(error)) from error
    finally:
        Lab.down()
    tally = rolled.tally
    asked = sum(tally.asked.values())
    kinds = Counter(each.split(":")[0] for each in tally.failed)
    failed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return [
        Reading(
            name="failed requests of a rolling restart",
            unit=f"of {asked}",
            goal=0.0,
            ours=(float(len(tally.failed)),),
            note=f"{plan.nodes} nodes, {rate} calls and {rate} REGISTERs a second;"
            f" {failed or 'none'}; refusals on the way: {len(tally.refusals)}; a node was away for"
            f" {max(rolled.away_s.values()):.1f} s at most, and drained in"
            f" {max(rolled.drained_s.values()):.1f} s",
        ),
        Reading(
            name="calls of a rolling restart that are not on record",
            unit=f"of {tally.asked['INVITE']}",
            goal=0.0,
            ours=(float(tally.asked["INVITE"] - rolled.complete),),
        ),
    ]
