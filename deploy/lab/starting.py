"""Starts the services of many nodes, a few nodes at a time.

In: nodes whose files are there. Out: running services; reports of progress. Counterparts:
`building.py`, which calls this; `readiness.py`, which then waits until the whole farm works.

A node takes a second of CPU to start. Sixty nodes that start at once on two cores would delay each
other until they take one another for dead.
"""

import os
import time
from collections.abc import Mapping
from typing import Final

from deploy.lab import processes, readiness, services
from deploy.lab.layout import LabError, LabState, host
from deploy.lab.readiness import Report
from overlay.config.config import Config

AT_A_TIME: Final = 2 * (os.cpu_count() or 1)
"""How many nodes may have services that do not answer yet. It is two a core, as half of the time of
a start is waiting."""

_POLL_S: Final = 0.05
_TOLD_EVERY: Final = 10


def start_nodes(
    state: LabState, configs: Mapping[str, Config], report: Report, until_s: float
) -> None:
    """Start every service of every node. The last nodes may not answer yet when it returns.

    Raises `LabError` when a service ends, or when some nodes could not be started by `until_s`.
    """
    to_start, silent = list(state.nodes), list[str]()
    while True:
        while to_start and len(silent) < AT_A_TIME:
            silent.append(to_start.pop(0))
            _start(state, silent[-1], configs[silent[-1]])
            started = len(state.nodes) - len(to_start)
            if to_start and started % _TOLD_EVERY == 0:
                report(f"started {started} of {len(state.nodes)} nodes")
        if not to_start:
            return
        readiness.refuse_ended(readiness.look(state, [n for n in state.nodes if n not in to_start]))
        reasons = {name: _why_silent(state, configs[name]) for name in silent}
        silent = [name for name in silent if reasons[name]]
        if time.monotonic() > until_s:
            why = [reasons[name] for name in silent]
            raise LabError("\n".join([f"{len(to_start)} nodes wait for others to start:", *why]))
        if len(silent) == AT_A_TIME:
            time.sleep(_POLL_S)


def _start(state: LabState, name: str, config: Config) -> None:
    node = host(name)
    for service in state.services:
        processes.start(node, service, services.command_of(service, node, config))


def _why_silent(state: LabState, config: Config) -> str:
    """A reason why a service of the node does not answer; empty if all answer."""
    for service in state.services:
        if reason := services.unready(service, config, services.ANY_FARM):
            return reason
    return ""
