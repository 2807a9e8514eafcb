"""SCALE: how costs grow with nodes, bindings, length of messages and load; how large farms behave.

Real farms of 3, 6 and 9 nodes run beside peers of the same size (P2's peer is one node, always).
There are a farm of three with up to 300,000 bindings, INVITEs of up to 2.4 KB, few calls a second
and many, and simulated farms of up to 1,000 nodes. Out: `Curve`s for `curves.py`, and a `Reading`
for each goal that P3 has beyond three nodes.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from bench import asking, billed_call, cpu, farm, proxied_call, registration, simulated
from bench.asker import Job, Question
from bench.curves import Curve, Line
from bench.measure import Comparison
from bench.plan import Plan
from bench.reading import Reading, percentile

_NODES = (3, 6, 9)
_BINDINGS = (0, 30_000, 100_000, 300_000)
_BINDINGS_QUICK = (0, 3_000)
_FLAT_PERCENT_MAX = 15.0
"""By which the cost of a REGISTER may differ between the smallest farm and the largest."""
_PROXIED_RATES = (125.0, 250.0, 500.0, 1_000.0)
_BILLED_RATES = (50.0, 100.0, 200.0, 300.0)
"""Calls a second; with more of them the nodes would queue."""
_PADDING = (0, 400, 800, 1_200, 2_000)
_SIMULATED = (10, 50, 200, 1_000)
_SIMULATED_QUICK = (10, 20)
_QUICK_S = 2.0
"""A plan with shorter rounds is a quick one."""
_PROXIED = ("sipfarm", "native Kamailio")
_BILLED = ("sipfarm, W=2 of 3", "one Kamailio, one PostgreSQL")
_BATCH = 20_000
_CONNECTIONS = 48
_LOOKUPS = 500
_SETTLE_S = 3.0


def run(plan: Plan, tell: Callable[[str], None]) -> Iterator[Curve | Reading]:
    """Measure one after another; raises `MeasureError` or `LabError` when that is not possible."""
    quick = plan.seconds < _QUICK_S
    padding = _PADDING[:2] if quick else _PADDING
    yield from _registers_by_nodes(plan, _NODES[:2] if quick else _NODES, tell)
    yield _calls_by_nodes(plan, _NODES[:1] if quick else _NODES, tell)
    yield from _by_bindings(plan, _BINDINGS_QUICK if quick else _BINDINGS, tell)
    yield _by_length(plan, padding, tell)
    yield _proxied_by_rate(plan, _PROXIED_RATES[-2:-1] if quick else _PROXIED_RATES, tell)
    yield _billed_by_rate(plan, _BILLED_RATES[-2:-1] if quick else _BILLED_RATES, tell)
    yield from _simulated(_SIMULATED_QUICK if quick else _SIMULATED, tell)


def _apart(plan: Plan, name: str, nodes: int) -> Plan:
    """The same with files of its own, which PostgreSQL has to reach."""
    work_dir = plan.work_dir / name
    work_dir.mkdir(mode=0o755)
    return replace(plan, work_dir=work_dir, nodes=nodes)


def _registers_by_nodes(
    plan: Plan, nodes: tuple[int, ...], tell: Callable[[str], None]
) -> Iterator[Curve | Reading]:
    found: dict[int, Comparison] = {}
    for count in nodes:
        tell(f"REGISTERs with {count} nodes")
        found[count] = registration.run(_apart(plan, f"registers{count}", count))
    yield _beside(
        "CPU of a REGISTER, the whole farm's",
        "nodes",
        ("sipfarm, W=2 of 3", "dmq_usrloc"),
        {float(count): comparison for count, comparison in found.items()},
    )
    for count in nodes[1:]:
        yield Reading(
            name=f"with {count} nodes",
            unit="times the CPU of dmq_usrloc",
            goal=registration.goal(count),
            ours=found[count].ratios,
            note=f"{found[count].ours.median_us:.0f} us, and {found[count].peer.median_us:.0f}",
        )
    if len(nodes) > 1:
        first, last = found[nodes[0]].ours.unit_us, found[nodes[-1]].ours.unit_us
        yield Reading(
            name=f"growth from {nodes[0]} to {nodes[-1]} nodes",
            unit="%",
            goal=_FLAT_PERCENT_MAX,
            ours=tuple(100 * (b / a - 1) for a, b in zip(first, last, strict=True)),
            note="of the CPU of a REGISTER, with what the nodes do at rest",
        )


def _calls_by_nodes(plan: Plan, nodes: tuple[int, ...], tell: Callable[[str], None]) -> Curve:
    found = {}
    for count in nodes:
        tell(f"billed calls with {count} nodes")
        found[float(count)] = billed_call.run(_apart(plan, f"calls{count}", count))
    return _beside("CPU of a billed call, the whole farm's", "nodes", _BILLED, found)


def _by_bindings(
    plan: Plan, steps: tuple[int, ...], tell: Callable[[str], None]
) -> tuple[Curve, Curve]:
    """What a REGISTER and a cold lookup cost while the farm holds so many others."""
    cost_us, cold_us = [], []
    with farm.farm(plan.nodes, {"proxy.authenticate": False}) as ours:
        side = registration.registering(
            "ours", ours.nodes, ours.phone, ours.namespaces, _apart(plan, "bindings", plan.nodes)
        )
        sockets = tuple(str(path) for path in ours.control_sockets)

        def ask(question: Question, names: str, count: int, connections: int) -> list[float]:
            job = Job(
                question=question,
                sockets=sockets,
                connections=connections,
                count=count,
                names=names,
            )
            return asking.ask(job).latencies_us

        held = 0
        for step in steps:
            tell(f"{step} bindings")
            for number in range(held, step, _BATCH):
                count = min(_BATCH, step - number)
                ask(Question.REGISTER, f"batch{number}-", count, _CONNECTIONS)
            held = step
            side.work(plan.users).check("warming up")
            time.sleep(_SETTLE_S)
            rounds_us = []
            for _ in range(plan.rounds):
                before_ns = cpu.namespaces_ns(ours.namespaces)
                done = side.work(plan.count(registration.RATE))
                spent_ns = cpu.namespaces_ns(ours.namespaces)
                spent_ns.subtract(before_ns)
                done.check(f"registering beside {step} bindings")
                rounds_us.append(spent_ns.total() / 1000 / done.completed)
            cost_us.append(percentile(rounds_us, 0.5))
            ask(Question.REGISTER, f"cold{step}-", _LOOKUPS, 8)
            cold_us.append(percentile(ask(Question.LOCATE, f"cold{step}-", _LOOKUPS, 1), 0.5))
    points = tuple(map(float, steps))
    return (
        Curve(
            title=f"CPU of a REGISTER, {plan.nodes} nodes",
            x="other bindings",
            y="us",
            lines=(Line(name="sipfarm", x=points, y=tuple(cost_us)),),
        ),
        Curve(
            title=f"cold lookup, p50, {plan.nodes} nodes",
            x="other bindings",
            y="us",
            lines=(Line(name="sipfarm", x=points, y=tuple(cold_us)),),
        ),
    )


def _by_length(plan: Plan, padding: tuple[int, ...], tell: Callable[[str], None]) -> Curve:
    found = {}
    for more in padding:
        tell(f"INVITEs that are {more} bytes longer")
        found[float(more)] = proxied_call.run(_apart(plan, f"length{more}", plan.nodes), more)
    x = "bytes that the INVITE is longer than 0.6 KB"
    return _beside("CPU of a proxied call, one node", x, _PROXIED, found)


def _proxied_by_rate(plan: Plan, rates: tuple[float, ...], tell: Callable[[str], None]) -> Curve:
    found = {}
    for rate in rates:
        tell(f"{rate:.0f} calls a second")
        apart = _apart(plan, f"proxied{rate:.0f}", plan.nodes)
        found[rate] = proxied_call.run(apart, rate=rate)
    return _beside("CPU of a proxied call, one node, by load", "calls/s", _PROXIED, found)


def _billed_by_rate(plan: Plan, rates: tuple[float, ...], tell: Callable[[str], None]) -> Curve:
    found = {}
    for rate in rates:
        tell(f"{rate:.0f} billed calls a second")
        found[rate] = billed_call.run(_apart(plan, f"billed{rate:.0f}", plan.nodes), rate)
    title = f"CPU of a billed call, {plan.nodes} nodes, by load"
    return _beside(title, "calls/s", _BILLED, found)


def _beside(title: str, x: str, names: tuple[str, str], found: Mapping[float, Comparison]) -> Curve:
    """Both sides' median CPU; `names`: ours, the peer's."""
    points = tuple(found)
    sides = ([each.ours for each in found.values()], [each.peer for each in found.values()])
    return Curve(
        title=title,
        x=x,
        y="us",
        lines=tuple(
            Line(name=name, x=points, y=tuple(figures.median_us for figures in side))
            for name, side in zip(names, sides, strict=True)
        ),
    )


def _simulated(sizes: tuple[int, ...], tell: Callable[[str], None]) -> tuple[Curve, Curve]:
    tell(f"simulated farms of {', '.join(map(str, sizes))} nodes")
    reports = simulated.reports(sizes)
    points = tuple(float(report["nodes"]) for report in reports)
    return (
        Curve(
            title="hops of a lookup, simulated",
            x="nodes",
            y="hops, mean",
            logarithmic=True,
            lines=(Line(name="sipfarm", x=points, y=tuple(r["hops_mean"] for r in reports)),),
        ),
        Curve(
            title="traffic of a node at rest, simulated",
            x="nodes",
            y="bytes/s",
            logarithmic=True,
            lines=(Line(name="sipfarm", x=points, y=tuple(r["bytes_per_s"] for r in reports)),),
        ),
    )
