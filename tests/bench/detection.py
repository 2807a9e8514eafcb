"""R2: how long until every survivor knows of a node's death; nodes wrongly taken for dead.

In a lab of nine daemons, one after the other is killed, stopped as on a frozen host, or cut off.
The logs of the others say when they knew. Then a fifth of all packets between daemons vanish for a
minute, while no node is dead. Counterpart: `tests/farm/failure_detection.py`, which does it.
"""

from bench.plan import Plan
from bench.processes import MeasureError
from bench.reading import Reading, percentile

from deploy.lab import Lab
from tests.farm import failure_detection

TRIALS = 20
TRIALS_QUICK = 1
LOSS_PERCENT = 20
LOSS_S = 60.0
LOSS_QUICK_S = 3.0
_QUICK_S = 2.0
"""A plan with shorter rounds is a quick one."""
_GOALS_MS = {"kill": 100.0, "freeze": 1_000.0, "cut": 1_000.0}


def run(plan: Plan) -> list[Reading]:
    """Measure; raises `MeasureError` or `LabError` when that is not possible."""
    quick = plan.seconds < _QUICK_S
    trials, loss_s = (TRIALS_QUICK, LOSS_QUICK_S) if quick else (TRIALS, LOSS_S)
    nodes = failure_detection.NODES
    readings = []
    lab = Lab.up(nodes, which=(failure_detection.OVERLAY,))
    try:
        for fault, goal_ms in _GOALS_MS.items():
            took_ms = [
                1000 * each
                for trial in range(trials)
                for each in failure_detection.FAULTS[fault](lab, f"n{1 + trial % nodes}")
            ]
            readings.append(
                Reading(
                    name=f"{fault}, p99",
                    unit="ms",
                    goal=goal_ms,
                    ours=(percentile(took_ms, 0.99),),
                    note=f"{len(took_ms)} verdicts of {nodes - 1} survivors in {trials} trials:"
                    f" half within {percentile(took_ms, 0.5):.0f} ms, the last after"
                    f" {max(took_ms):.0f}",
                )
            )
        dead, missed = failure_detection.false_positives(lab, LOSS_PERCENT, loss_s)
    except AssertionError as error:
        raise MeasureError(str(error)) from error
    finally:
        Lab.down()
    readings.append(
        Reading(
            name=f"taken for dead at {LOSS_PERCENT}% loss",
            unit=f"of {nodes} living nodes",
            goal=0.0,
            ours=(float(dead),),
            note=f"for {loss_s:g} s; probes missed: {missed}",
        )
    )
    return readings
