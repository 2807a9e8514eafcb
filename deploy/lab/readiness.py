"""Waits until the farm in the lab works as a whole.

In: the lab's state and the nodes' configurations. Out: nothing, or a `LabError` that says which
service of which node is not ready and why. Counterparts: `services.unready`, `lab.py`.
"""

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from deploy.lab import processes, services
from deploy.lab.layout import LabError, LabState, host
from deploy.lab.processes import ProcessState
from overlay.config.config import Config

Report = Callable[[str], None]
"""Takes a line of text that says what the lab is doing."""

Doing = Mapping[str, Mapping[str, ProcessState]]
"""The state of each service of each node, by the node's name and the service's."""

_POLL_S: Final = 0.1
_POLL_PER_NODE_S: Final = 0.01
"""Time between two questions, for each node. A large farm is asked less often, as each answer costs
it more."""
_LOG_LINES: Final = 10
_ASKED_AT_A_TIME: Final = 8
"""How many nodes are asked at a time. A node's answer takes a few ms; a silent node's never comes,
and the question ends at its deadline."""


def quiet(_line: str) -> None:
    """A `Report` that prints nothing."""


def wait(
    state: LabState,
    configs: Mapping[str, Config],
    *,
    every_service: bool,
    report: Report,
    timeout_s: float,
) -> None:
    """Wait until all running services answer and each daemon knows all nodes that it can reach.

    With `every_service`, a service that has ended is an error at once, which shows the end of its
    log. Without, ended and frozen services are left out.
    """
    until_s = time.monotonic() + timeout_s
    told: set[str] = set()
    waiting: Collection[str] = state.nodes
    while True:
        doing = look(state, state.nodes)
        if every_service:
            refuse_ended(doing)
        # At the end, all nodes are asked once more: a node that was ready before may have lost
        # sight of another meanwhile.
        asked = waiting or state.nodes
        problems = _problems(state, configs, doing, asked)
        waiting = [name for name in asked if problems[name]]
        for name in asked:
            if name not in told and name not in waiting:
                told.add(name)
                report(_said_of(name, doing[name]))
        if not waiting and len(asked) == len(state.nodes):
            return
        if waiting and time.monotonic() > until_s:
            reasons = [reason for name in waiting for reason in problems[name]]
            raise LabError("\n".join([f"not ready after {timeout_s:.0f} s:", *reasons]))
        if waiting:
            time.sleep(max(_POLL_S, _POLL_PER_NODE_S * len(state.nodes)))


def look(state: LabState, names: Collection[str]) -> Doing:
    """The state of each service of each of these nodes at this moment."""
    hosts = [host(name) for name in names]
    of_hosts = processes.of_hosts(hosts)
    found: dict[str, dict[str, ProcessState]] = {}
    for each in hosts:
        of_services = processes.of_services(each, state.services, of_hosts[each.name])
        found[each.name] = {
            service: processes.state_of(pids) for service, pids in of_services.items()
        }
    return found


def refuse_ended(doing: Doing) -> None:
    """Raise `LabError` with the end of the log of each service that has ended."""
    ended = [
        last_words(name, service)
        for name, of_node in doing.items()
        for service, does in of_node.items()
        if does is ProcessState.DEAD
    ]
    if ended:
        raise LabError("\n".join(ended))


def last_words(name: str, service: str) -> str:
    """The end of the log of a service that has ended."""
    log = host(name).log(service)
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    lines = text.splitlines()[-_LOG_LINES:]
    return "\n  ".join([f"{name} {service} has ended; the end of {log}:", *lines])


def _said_of(name: str, doing: Mapping[str, ProcessState]) -> str:
    """The line that is reported of a node for which `wait` need not wait any longer."""
    still: dict[ProcessState, list[str]] = {}
    for service, does in doing.items():
        if does is not ProcessState.RUNNING:
            still.setdefault(does, []).append(service)
    words = "; ".join(f"{does}: {' '.join(names)}" for does, names in still.items())
    if ProcessState.RUNNING not in doing.values():
        return f"{name} is left out ({words})"
    return f"{name} is ready at {host(name).address}" + (f" ({words})" if words else "")


def _problems(
    state: LabState, configs: Mapping[str, Config], doing: Doing, names: Collection[str]
) -> dict[str, list[str]]:
    """The reasons why each of these nodes is not ready, by the node's name; none if it is ready."""

    def problems_of(name: str) -> list[str]:
        same_side = [other for other in alive if (other in state.cut) == (name in state.cut)]
        farm = services.Farm(
            alive=same_side, serving=[other for other in same_side if other in kamailios]
        )
        running = [each for each, does in doing[name].items() if does is ProcessState.RUNNING]
        reasons: list[str] = []
        # The daemon is asked last, and only if nothing else is wrong: to answer, it asks every node
        # for its status.
        for service in sorted(running, key=lambda each: each == services.OVERLAY):
            if service != services.OVERLAY or not reasons:
                reason = services.unready(service, configs[name], farm)
                reasons += [reason] if reason else []
        return reasons

    alive, kamailios = _running(doing, services.OVERLAY), _running(doing, services.KAMAILIO)
    pool = ThreadPoolExecutor(_ASKED_AT_A_TIME)
    try:
        return dict(zip(names, pool.map(problems_of, names), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _running(doing: Doing, service: str) -> list[str]:
    """The names of the nodes on which the service runs."""
    return [name for name, of_node in doing.items() if of_node.get(service) is ProcessState.RUNNING]
