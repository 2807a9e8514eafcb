"""Waiting until the farm in the lab works as a whole.

In: the lab's state and the nodes' configurations. Out: nothing, or a `LabError` that says which
service of which node is not ready and why. Counterparts: `services.unready`, `lab.py`.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

from deploy.lab import processes, services
from deploy.lab.layout import LabError, LabState, host
from deploy.lab.processes import ProcessState
from overlay.config.config import Config

Report = Callable[[str], None]
"""Told, in a line, what is being done."""

_POLL_S: Final = 0.1
_LOG_LINES: Final = 10


def quiet(_line: str) -> None:
    """A `Report` that tells nobody."""


def wait(
    state: LabState,
    configs: Mapping[str, Config],
    *,
    every_service: bool,
    report: Report,
    timeout_s: float,
) -> None:
    """Wait until all running services answer and the overlay knows all nodes that can be reached.

    With `every_service`, one that has ended is an error at once, with the end of its log; without,
    it is left out.
    """
    until_s = time.monotonic() + timeout_s
    told: set[str] = set()
    while True:
        running = {
            (name, service): processes.state_of(processes.of_service(host(name), service))
            for name in state.nodes
            for service in state.services
        }
        ended = [key for key, doing in running.items() if doing is ProcessState.DEAD]
        if every_service and ended:
            raise LabError("\n".join(last_words(*key) for key in ended))
        problems = _problems(state, configs, running)
        for name in state.nodes:
            if name not in told and not problems[name]:
                told.add(name)
                report(f"{name} is ready at {host(name).address}")
        reasons = [reason for name in state.nodes for reason in problems[name]]
        if not reasons:
            return
        if time.monotonic() > until_s:
            raise LabError("\n".join([f"not ready after {timeout_s:.0f} s:", *reasons]))
        time.sleep(_POLL_S)


def last_words(name: str, service: str) -> str:
    """The end of the log of a service that is no longer there."""
    log = host(name).log(service)
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    lines = text.splitlines()[-_LOG_LINES:]
    return "\n  ".join([f"{name} {service} has ended; the end of {log}:", *lines])


def _problems(
    state: LabState,
    configs: Mapping[str, Config],
    running: Mapping[tuple[str, str], ProcessState],
) -> dict[str, list[str]]:
    def runs(service: str) -> list[str]:
        doing = {name: running.get((name, service)) for name in state.nodes}
        return [name for name, does in doing.items() if does is ProcessState.RUNNING]

    alive, kamailios = runs(services.OVERLAY), runs(services.KAMAILIO)
    found: dict[str, list[str]] = {name: [] for name in state.nodes}
    for (name, service), doing in running.items():
        same_side = [other for other in alive if (other in state.cut) == (name in state.cut)]
        farm = services.Farm(
            alive=same_side, serving=[other for other in same_side if other in kamailios]
        )
        if doing is ProcessState.RUNNING:
            reason = services.unready(service, configs[name], farm)
            found[name] += [reason] if reason else []
    return found
