"""SCALE: how costs grow with nodes, bindings and the length of messages, and what large farms do.

Real farms of 3, 6 and 9 nodes beside peers of the same size (P2's peer is one node, always); a farm
of three with up to 300,000 bindings; INVITEs of up to 2.4 KB; and simulated farms of up to 1,000
nodes. Out: `Curve`s for `curves.py`. Nothing here has a goal but that P3 is flat.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from bench import asking, billed_call, cpu, farm, proxied_call, registration, simulated
from bench.asker import Job, Question
from bench.curves import Curve, Line
from bench.plan import Plan
from bench.reading import percentile

_NODES = (3, 6, 9)
_BINDINGS = (0, 30_000, 100_000, 300_000)
_BINDINGS_QUICK = (0, 3_000)
_PADDING = (0, 400, 800, 1_200, 2_000)
_SIMULATED = (10, 50, 200, 1_000)
_SIMULATED_QUICK = (10, 20)
_QUICK_S = 2.0
"""A plan with shorter rounds is a quick one."""
_BATCH = 20_000
_CONNECTIONS = 48
_LOOKUPS = 500
_SETTLE_S = 3.0


def run(plan: Plan, tell: Callable[[str], None]) -> Iterator[Curve]:
    """Measure one after another; raises `MeasureError` or `LabError` when that is not possible."""
    quick = plan.seconds < _QUICK_S
    nodes, padding = (_NODES[:1], _PADDING[:2]) if quick else (_NODES, _PADDING)
    yield _registers_by_nodes(plan, nodes, tell)
    yield _calls_by_nodes(plan, nodes, tell)
    yield from _by_bindings(plan, _BINDINGS_QUICK if quick else _BINDINGS, tell)
    yield _by_length(plan, padding, tell)
    yield from _simulated(_SIMULATED_QUICK if quick else _SIMULATED, tell)


def _apart(plan: Plan, name: str, nodes: int) -> Plan:
    """The same with files of its own, which PostgreSQL has to reach."""
    work_dir = plan.work_dir / name
    work_dir.mkdir(mode=0o755)
    return replace(plan, work_dir=work_dir, nodes=nodes)


def _registers_by_nodes(plan: Plan, nodes: tuple[int, ...], tell: Callable[[str], None]) -> Curve:
    ours, peer = [], []
    for count in nodes:
        tell(f"REGISTERs with {count} nodes")
        found = registration.run(_apart(plan, f"registers{count}", count))
        ours.append(found.ours.median_us)
        peer.append(found.peer.median_us)
    points = tuple(map(float, nodes))
    return Curve(
        title="CPU of a REGISTER, the whole farm's",
        x="nodes",
        y="us",
        lines=(
            Line(name="sipfarm, W=2 of 3", x=points, y=tuple(ours)),
            Line(name="dmq_usrloc", x=points, y=tuple(peer)),
        ),
    )


def _calls_by_nodes(plan: Plan, nodes: tuple[int, ...], tell: Callable[[str], None]) -> Curve:
    ours, peer = [], []
    for count in nodes:
        tell(f"billed calls with {count} nodes")
        found = billed_call.run(_apart(plan, f"calls{count}", count))
        ours.append(found.ours.median_us)
        peer.append(found.peer.median_us)
    points = tuple(map(float, nodes))
    return Curve(
        title="CPU of a billed call, the whole farm's",
        x="nodes",
        y="us",
        lines=(
            Line(name="sipfarm, W=2 of 3", x=points, y=tuple(ours)),
            Line(name="one Kamailio, one PostgreSQL", x=points, y=tuple(peer)),
        ),
    )


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
    ours, peer = [], []
    for more in padding:
        tell(f"INVITEs that are {more} bytes longer")
        found = proxied_call.run(_apart(plan, f"length{more}", plan.nodes), more)
        ours.append(found.ours.median_us)
        peer.append(found.peer.median_us)
    points = tuple(map(float, padding))
    return Curve(
        title="CPU of a proxied call, one node",
        x="bytes that the INVITE is longer than 0.6 KB",
        y="us",
        lines=(
            Line(name="sipfarm", x=points, y=tuple(ours)),
            Line(name="native Kamailio", x=points, y=tuple(peer)),
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
