"""R5: how much of a farm's capacity is left under too many calls, and under 50,000 phones at once.

Farm and phones have a core each, so that neither takes the other's time. The farm's nodes share
theirs. The capacity is the most calls a second that callers get through who call again as soon as
they have hung up. Then twice and five times as many calls come in, whatever becomes of them. The
good ones are counted and compared with the capacity before and after, several times a round: a
virtual core may do half as much from one second to the next, when others use the real one that it
shares. Calls are billed.

Then the phones register, all within one second. They register again once the farm has their
bindings, as after a power cut: this second time is the figure.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from bench import cpu, farm
from bench.call_load import SETUP_MAX_S, CallJob, CallTimes
from bench.farm import DOMAIN, Farm
from bench.plan import Plan
from bench.processes import MeasureError
from bench.reading import Better, Reading, percentile
from bench.register_storm import StormJob, StormTimes

PHONES = 50_000
PHONES_QUICK = 1_500
_QUICK_S = 2.0
"""A plan with shorter rounds is a quick one."""
_SETTINGS = {"proxy.authenticate": False}
_CALLERS = (16, 32, 64, 128, 256)
"""How many call at a time, to find the capacity; as long as more of them get more through."""
_CALLERS_QUICK = 64
_GROWS = 1.05
_REFUSED_MAX = 0.1
"""Share of their calls; where more are refused they are too many already."""
_TIMES = (2, 5)
"""Times the capacity that are offered."""
_EACH = 3
"""How often, in a round that is not a quick one's."""
_OFFERED_MIN = 0.97
"""Share of the calls that are to be offered that must have been."""
_GOODPUT_GOAL = 95.0
_TALK_S = 0.2
_CALLEE_PORT, _CALLER_PORT, _PHONE_PORT = 6000, 6100, 6200
_STORM_LONGEST_S = 600.0
Answer = TypeVar("Answer")


def run(plan: Plan) -> list[Reading]:
    """Measure; raises `MeasureError` or `LabError` when that is not possible."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise MeasureError("farm and phones need a core each, and this machine has one")
    readings = []
    with farm.farm(plan.nodes, _SETTINGS) as ours:
        ours_on(ours, cores[0])
        readings += _goodput(plan, ours, cores[1])
    with farm.farm(plan.nodes, _SETTINGS) as ours:
        ours_on(ours, cores[0])
        readings += _storm(plan, ours, cores[1])
    return readings


def ours_on(ours: Farm, core: int) -> None:
    """Have all of the farm run on one core, what it starts later included."""
    for pid in cpu.processes_in(ours.namespaces):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def _goodput(plan: Plan, ours: Farm, core: int) -> list[Reading]:
    _register(ours, core, plan.users)
    callers = _CALLERS_QUICK if _is_quick(plan) else _most_callers(plan, ours, core)
    capacities = [_call(plan, ours, core, callers=callers).good_per_s]
    shares: dict[int, list[float]] = {times: [] for times in _TIMES}
    notes: dict[int, str] = {}
    for _ in range(plan.rounds * (1 if _is_quick(plan) else _EACH)):
        for times in _TIMES:
            dropped = _dropped(ours)
            rate = times * capacities[-1]
            found = _call(plan, ours, core, rate=rate)
            if found.offered_per_s < _OFFERED_MIN * rate:
                raise MeasureError(
                    f"{found.offered_per_s:.0f} calls/s offered instead of {rate:.0f}:"
                    f" the phones' core is too slow"
                )
            notes[times] = _told(found, _dropped(ours) - dropped)
            # Disks and machines are not as fast at one time as at another.
            capacities.append(_call(plan, ours, core, callers=callers).good_per_s)
            shares[times].append(200 * found.good_per_s / sum(capacities[-2:]))
    most = f"{min(capacities):.0f} to {max(capacities):.0f} calls/s on one core"
    return [
        Reading(
            name=f"goodput at {times} times capacity",
            unit="% of capacity",
            goal=_GOODPUT_GOAL,
            better=Better.HIGHER,
            ours=tuple(shares[times]),
            note=f"capacity {most}, {plan.nodes} nodes, billed; the last time {notes[times]}",
        )
        for times in _TIMES
    ]


def _told(found: CallTimes, dropped: int) -> str:
    others = ", ".join(f"{count} {what}" for what, count in sorted(found.others.items()))
    setup_ms = percentile(found.setup_us, 0.99) / 1000 if found.setup_us else 0.0
    return (
        f"{found.good_per_s:.0f}/s good (answered within {SETUP_MAX_S:g} s),"
        f" {found.refused_per_s:.0f}/s refused, {found.broken} that could not be ended,"
        f" otherwise: {others or 'none'}; answered within {setup_ms:.0f} ms"
        f" (p99); {found.resent} sent again, {dropped} dropped by the nodes' kernels;"
        f" the phones were late by {found.late_ms:.0f} ms at most"
    )


def _most_callers(plan: Plan, ours: Farm, core: int) -> int:
    """How many callers at a time get most calls through."""
    best, best_per_s = _CALLERS[0], 0.0
    for callers in _CALLERS:
        found = _call(plan, ours, core, callers=callers)
        too_many = found.refused_per_s > _REFUSED_MAX * found.offered_per_s
        if too_many or found.good_per_s < _GROWS * best_per_s:
            break
        best, best_per_s = callers, found.good_per_s
    return best


def _call(plan: Plan, ours: Farm, core: int, *, rate: float = 0.0, callers: int = 0) -> CallTimes:
    job = CallJob(
        address=ours.phone.address,
        nodes=tuple(node.address for node in ours.nodes),
        domain=DOMAIN,
        users=plan.users,
        callee_port=_CALLEE_PORT,
        caller_port=_CALLER_PORT,
        rate=rate,
        callers=callers,
        warm_up_s=min(2.0, plan.seconds / 2),
        seconds=plan.seconds,
        talk_s=_TALK_S,
    )
    return _have_done(ours, core, "call_load", job, CallTimes)


def _register(ours: Farm, core: int, users: int) -> None:
    found = _registering(ours, core, "callee", users, within_s=users / 100)
    if len(found.served_after_s) < users:
        raise MeasureError(f"{len(found.served_after_s)} of {users} callees registered")


def _registering(
    ours: Farm, core: int, names: str, phones: int, within_s: float, seed: int = 0
) -> StormTimes:
    job = StormJob(
        address=ours.phone.address,
        nodes=tuple(node.address for node in ours.nodes),
        domain=DOMAIN,
        names=names,
        phones=phones,
        contact_port=_CALLEE_PORT,
        port=_PHONE_PORT,
        within_s=within_s,
        longest_s=_STORM_LONGEST_S,
        seed=seed,
    )
    return _have_done(ours, core, "register_storm", job, StormTimes)


def _storm(plan: Plan, ours: Farm, core: int) -> list[Reading]:
    phones = PHONES_QUICK if _is_quick(plan) else PHONES
    first = _registering(ours, core, "phone", phones, within_s=1.0)
    dropped = _dropped(ours)
    found = _registering(ours, core, "phone", phones, within_s=1.0)
    after_s, statuses = found.served_after_s, found.statuses
    told = ", ".join(f"{count} times {status}" for status, count in sorted(statuses.items()))
    note = (
        f"{plan.nodes} nodes on one core, no passwords; {told}, at most {found.refused_per_s_max}"
        f" times 503 in a second; {found.sent} REGISTERs, sent again"
        f" {found.resent} times; {found.gave_up} without an answer in 32 s; the nodes' kernels"
        f" dropped {_dropped(ours) - dropped}; the phones were late by {found.late_ms:.0f} ms"
    )
    served = 100 * len(after_s) / phones
    readings = [
        Reading(
            name=f"storm of {phones} phones, served",
            unit="%",
            goal=100.0,
            better=Better.HIGHER,
            ours=(served,),
            note=note,
        )
    ]
    if after_s:
        half_s = percentile(after_s, 0.5)
        readings.append(
            Reading(
                name=f"storm of {phones} phones, the last",
                unit="s",
                goal=_STORM_LONGEST_S,
                ours=(max(after_s),),
                note=f"half of them after {half_s:.1f} s, 99% after"
                f" {percentile(after_s, 0.99):.1f} s; the first time, without bindings,"
                f" {len(first.served_after_s)} served, the last after"
                f" {max(first.served_after_s, default=0.0):.1f} s",
            )
        )
    return readings


def _is_quick(plan: Plan) -> bool:
    return plan.seconds < _QUICK_S


def _dropped(ours: Farm) -> int:
    """Messages that found a node's socket full."""
    total = 0
    for node in ours.nodes:
        done = subprocess.run(
            node.command(["cat", "/proc/net/snmp"]), capture_output=True, text=True, check=True
        )
        names, values = (line.split() for line in done.stdout.splitlines() if line[:4] == "Udp:")
        total += int(values[names.index("RcvbufErrors")])
    return total


def _have_done(
    ours: Farm, core: int, module: str, job: msgspec.Struct, kind: type[Answer]
) -> Answer:
    """Start the phones on their host and their core, and read what became of them."""
    command: Sequence[str] = ours.phone.command([sys.executable, "-m", f"bench.{module}"])
    done = subprocess.run(
        ["taskset", "-c", str(core), *command],
        input=msgspec.json.encode(job),
        capture_output=True,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    if done.returncode:
        raise MeasureError(f"{module}: {done.stderr.decode(errors='replace')[-2000:]}")
    return msgspec.json.decode(done.stdout, type=kind)
