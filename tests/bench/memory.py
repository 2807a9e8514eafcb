"""P6: how much memory a binding takes on each of its replicas, and how long a restart takes.

Subscribers register through all nodes of the farm, each with one binding of about 150 bytes. With
three nodes, every node holds all bindings. The growth of a daemon's resident memory is divided by
the bindings that it holds. Then one daemon after the other is stopped and started again. A daemon
serves when its control socket answers a lookup, and must have all bindings by then.

No peer runs here: OpenSIPS' documentation and measurements of others name 1.18 KB for a binding.
"""

import time
from pathlib import Path

from bench import asking
from bench.asker import Job, Question, address_of_record
from bench.plan import Plan
from bench.processes import MeasureError
from bench.reading import Reading

from deploy.lab import Lab
from overlay.base.errors import SipfarmError
from overlay.control.client import ControlClient
from overlay.control.operator_messages import GetStatus, Status
from overlay.control.proxy_messages import Locate, Located

BINDINGS = 300_000
BINDINGS_QUICK = 20_000
_QUICK_S = 2.0
"""A plan with shorter rounds is a quick one."""
_BATCH = 20_000
_WARM_UP = 5_000
_SERVICES = ("redis", "overlay")
_SETTLED_WITHIN_S = 60.0
_SERVES_WITHIN_S = 60.0
_LOOK_S = 0.005
_CONNECTIONS = 48


def run(plan: Plan) -> list[Reading]:
    """Measure; raises `MeasureError` or `LabError` when that is not possible."""
    count = BINDINGS if plan.seconds >= _QUICK_S else BINDINGS_QUICK
    lab = Lab.up(plan.nodes, farm="farm.test", which=_SERVICES, settings={})
    try:
        _register(lab, "warm-up-", _WARM_UP)
        _settled(lab, _WARM_UP)
        before = [_resident_bytes(pid) for pid in _pids(lab)]
        for number in range(0, count, _BATCH):
            _register(lab, f"batch{number}-", min(_BATCH, count - number))
        held = _settled(lab, _WARM_UP + count)
        after = [_resident_bytes(pid) for pid in _pids(lab)]
        grown = [
            (now - then) / (bindings - _WARM_UP * bindings // (_WARM_UP + count))
            for now, then, bindings in zip(after, before, held, strict=True)
        ]
        names = [node.name for node in lab.nodes]
        rounds = [names[number % len(names)] for number in range(min(plan.rounds, 5))]
        restarts = [_restart_s(lab, name, held[names.index(name)]) for name in rounds]
    finally:
        Lab.down()
    return [
        Reading(
            name="memory of a binding",
            unit="bytes a replica",
            goal=512.0,
            ours=tuple(grown),
            note=f"{count} bindings on {plan.nodes} nodes; one value a node",
        ),
        Reading(
            name="restart",
            unit="s until it serves",
            goal=2.0,
            ours=tuple(restarts),
            note=f"of a daemon that holds {held[0]} bindings, all of them at hand when it serves",
        ),
    ]


def _register(lab: Lab, names: str, count: int) -> None:
    sockets = tuple(str(lab.config(node.name).control_socket) for node in lab.nodes)
    asking.ask(
        Job(
            question=Question.REGISTER,
            sockets=sockets,
            connections=_CONNECTIONS,
            count=count,
            names=names,
        )
    )


def _settled(lab: Lab, records: int) -> list[int]:
    """Wait until every record is on all its replicas; what each node holds."""
    config = lab.config(lab.nodes[0].name)
    wanted = records * min(config.overlay.replicas, len(lab.nodes))
    until_s = time.monotonic() + _SETTLED_WITHIN_S
    while True:
        held = [_held(config.control_socket) for config in map(lab.config, _names(lab))]
        if sum(held) >= wanted:
            # What has just been written behind is freed after the next flush.
            time.sleep(2.0)
            return held
        if time.monotonic() > until_s:
            raise MeasureError(f"{sum(held)} of {wanted} copies are there")
        time.sleep(0.2)


def _names(lab: Lab) -> list[str]:
    return [node.name for node in lab.nodes]


def _held(socket: Path) -> int:
    with ControlClient(socket) as client:
        status = client.ask(GetStatus(), 5.0)
    assert isinstance(status, Status)
    return status.nodes[0].bindings


def _pids(lab: Lab) -> list[int]:
    found = [
        service.pid
        for node in lab.describe().nodes
        for service in node.processes
        if service.name == "overlay"
    ]
    if len(found) != len(lab.nodes) or not all(found):
        raise MeasureError("a daemon is not running")
    return [pid for pid in found if pid]


def _resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise MeasureError(f"process {pid} is gone")


def _restart_s(lab: Lab, name: str, held: int) -> float:
    lab.stop(name, "overlay")
    socket = lab.config(name).control_socket
    began_s = time.monotonic()
    lab.start(name, "overlay")
    aor = address_of_record("warm-up-", 0)
    while True:
        try:
            with ControlClient(socket) as client:
                located = client.ask(Locate(aor=aor), 1.0)
            if isinstance(located, Located) and located.targets:
                break
        except SipfarmError:
            pass
        if time.monotonic() - began_s > _SERVES_WITHIN_S:
            raise MeasureError(f"{name} does not serve")
        time.sleep(_LOOK_S)
    took_s = time.monotonic() - began_s
    if _held(socket) < held:
        raise MeasureError(f"{name} has {_held(socket)} of {held} bindings after its restart")
    return took_s
