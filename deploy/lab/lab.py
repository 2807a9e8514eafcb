"""The lab: a farm of real nodes on this machine, each in a network namespace.

In: calls from `overlay/cli/lab.py` and from tests. Out: changes to the machine, by `building.py`,
`processes.py` and `network.py`. A machine has room for one lab at a time. `layout.LabState` keeps
what the next command must know of it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from deploy.lab import building, joining, layout, network, processes, readiness, services
from deploy.lab.description import LabDescription, describe
from deploy.lab.layout import Host, LabError, LabState, host
from deploy.lab.readiness import Report, quiet
from overlay.cli.arguments import CONFIG_VARIABLE
from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.control import control_protocol
from overlay.control.client import ControlClient


class Lab:
    """The lab that is up. Every method raises `LabError` when it fails."""

    def __init__(self, state: LabState) -> None:
        self._state = state

    @classmethod
    def attach(cls) -> "Lab":
        """The lab that an earlier command started."""
        building.check_root()
        return cls(layout.load_state())

    @classmethod
    def up(
        cls,
        nodes: int,
        *,
        farm: str = "farm.test",
        settings: Mapping[str, object] | None = None,
        which: Collection[str] = services.ALL,
        report: Report = quiet,
        timeout_s: float = 0.0,
    ) -> "Lab":
        """Start a lab and wait until all of it is ready; on failure nothing is left of it.

        `settings` are values of farm.toml by `section.key`, the same for all nodes; `which` names
        the services to run.
        """
        building.check_root()
        building.check_programs()
        names = tuple(host(f"n{number}").name for number in range(1, nodes + 1))
        if not names:
            raise LabError("a lab has one node or more")
        if unknown := sorted(set(which) - set(services.ALL)):
            raise LabError(f"no service {' '.join(unknown)}; there are {' '.join(services.ALL)}")
        configs = {
            name: building.node_config(host(name), names, farm, settings or {}) for name in names
        }
        chosen = tuple(service for service in services.ALL if service in which)
        building.check_memory(nodes, chosen, building.available_mib())
        state = LabState(farm=farm, nodes=names, services=chosen)
        with building.lock():
            if layout.STATE_DIR.exists():
                raise LabError("a lab is up, or was left behind; clean up with: sipfarm lab down")
            network.check_range_free()
            timeout_s = timeout_s or 30.0 + 5.0 * nodes
            if slower := building.patience(nodes).keys():
                waits = ", ".join(f"{n} = {getattr(configs[names[0]].overlay, n)}" for n in slower)
                report(f"{nodes} nodes share few cores and wait longer for each other: {waits}")
            try:
                building.build(state, configs, report, time.monotonic() + timeout_s)
                readiness.wait(
                    state, configs, every_service=True, report=report, timeout_s=timeout_s
                )
            except BaseException:
                building.remove(report)
                raise
        return cls(state)

    def join(self, name: str, *, report: Report = quiet, timeout_s: float = 60.0) -> float:
        """Let a further node join with a token; returns how many s it took until the node and the
        farm were ready."""
        building.check_root()
        node = host(name)
        with building.lock():
            self._state = layout.load_state()
            joining.check_new(self._state, node)
            joining.make_host(node, self.farm)
            with joining.enrollment_service(building.AUTHORITY_DIR):
                token = joining.token(building.AUTHORITY_DIR, name)
                began_s = time.monotonic()
                joining.join(self._state, node, token)
            self._change(nodes=(*self._state.nodes, name))
        self.wait_ready(report=report, timeout_s=timeout_s)
        return time.monotonic() - began_s

    @staticmethod
    def down(report: Report = quiet) -> bool:
        """Remove every trace of the lab, in whatever state it is; false if there was none."""
        building.check_root()
        with building.lock():
            return building.remove(report)

    @property
    def farm(self) -> str:
        """The farm's name."""
        return self._state.farm

    @property
    def nodes(self) -> list[Host]:
        """All nodes, also the dead ones."""
        return [host(name) for name in self._state.nodes]

    def node(self, name: str) -> Host:
        """The node of that name."""
        if name not in self._state.nodes:
            raise LabError(f"no node {name!r}; there are {' '.join(self._state.nodes)}")
        return host(name)

    def host_directory(self, name: str) -> Path:
        """A directory for further files of a host, which is removed together with the lab."""
        return host(name).directory

    def config(self, name: str) -> Config:
        """The configuration that a node runs with."""
        return configuration.load(self.node(name).config)

    def describe(self) -> LabDescription:
        """Everything that a program must know to use the lab."""
        self._state = layout.load_state()
        return describe(self._state, {node.name: self.config(node.name) for node in self.nodes})

    def phone(self, name: str, names: Mapping[str, str] | None = None) -> Host:
        """A phone host, which is made if it is not there.

        `names` are addresses by name for the host's /etc/hosts, which win over the farm's DNS. If
        None, the file stays as it is.
        """
        phone = host(name)
        if phone.is_node:
            raise LabError(f"{name} is no phone host; those are p1, p2, …")
        lines = [f"{address} {known}\n" for known, address in (names or {}).items()]
        text = "".join(["127.0.0.1 localhost\n", *lines])
        with building.lock():
            self._state = layout.load_state()
            if name not in self._state.phones:
                servers = [node.address for node in self.nodes[: building.BOOTSTRAP_NODES]]
                network.create_host(phone, text, servers, self.farm)
                self._change(phones=(*self._state.phones, name))
            elif names is not None:
                # Written in place, as processes on the host have this very file mounted.
                (phone.netns_etc / "hosts").write_text(text, encoding="ascii")
        return phone

    def command_on(self, name: str, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` on a node or on a phone host.

        On the host, `sipfarm` is the program of this tree. On a node, it uses the node's farm.toml.
        """
        wanted = self.node(name) if host(name).is_node else self.phone(name)
        programs = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        variables = [f"PATH={programs}"]
        if wanted.is_node:
            variables.append(f"{CONFIG_VARIABLE}={wanted.config}")
        return processes.in_namespace(wanted, ["env", *variables, *command])

    def run_on(
        self, name: str, command: Sequence[str], *, timeout_s: float, given: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command on a host to its end; returns its output and exit status."""
        argv = self.command_on(name, command)
        return subprocess.run(
            argv,
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def ask(
        self, name: str, request: control_protocol.ControlRequest, deadline_s: float = 5.0
    ) -> control_protocol.ControlAnswer:
        """Ask a node's daemon and return its answer; raises what `ControlClient.ask` raises."""
        with ControlClient(self.config(name).control_socket) as client:
            return client.ask(request, deadline_s)

    def kill(self, name: str, service: str = "") -> None:
        """Send SIGKILL to one service of a node, or to all its processes, as when power fails."""
        processes.kill_all(self.node(name), self._service(service))

    def freeze(self, name: str, service: str = "") -> None:
        """Send SIGSTOP to one service of a node, or to all its processes: they stay there, and no
        longer answer."""
        processes.freeze_all(self.node(name), self._service(service))

    def thaw(self, name: str, service: str = "") -> None:
        """Undo `freeze`."""
        processes.thaw_all(self.node(name), self._service(service))

    def stop(self, name: str, service: str = "") -> None:
        """Send SIGTERM to one service of a node, or to all in turn, and wait until they ended."""
        node = self.node(name)
        for each in [self._service(service)] if service else reversed(self._state.services):
            processes.stop(node, each)

    def start(self, name: str, service: str = "") -> None:
        """Start one service of a node, or all that do not run; `wait_ready` waits for them."""
        node, config = self.node(name), self.config(name)
        with building.lock():
            for each in [self._service(service)] if service else self._state.services:
                if not processes.of_service(node, each):
                    processes.start(node, each, services.command_of(each, node, config))

    def cut(self, names: Collection[str]) -> None:
        """Drop everything between these hosts and all others; replaces an earlier cut."""
        with building.lock():
            self._state = layout.load_state()
            known = (*self._state.nodes, *self._state.phones)
            if unknown := sorted(set(names) - set(known)):
                raise LabError(f"no host {' '.join(unknown)}; there are {' '.join(known)}")
            network.cut([host(name) for name in names])
            self._change(cut=tuple(names))

    def heal(self) -> None:
        """Undo `cut`."""
        with building.lock():
            self._state = layout.load_state()
            network.heal()
            self._change(cut=())

    def restore(self, *, timeout_s: float = 60.0) -> None:
        """Undo cuts and freezes, start what has ended, and wait until all is ready again."""
        self.heal()
        for name in self._state.nodes:
            self.thaw(name)
            self.start(name)
        self.wait_ready(every_service=True, timeout_s=timeout_s)

    def wait_ready(
        self, *, every_service: bool = False, report: Report = quiet, timeout_s: float = 60.0
    ) -> None:
        """Wait until all running services are ready; see `readiness.wait`."""
        self._state = layout.load_state()
        configs = {name: self.config(name) for name in self._state.nodes}
        readiness.wait(
            self._state, configs, every_service=every_service, report=report, timeout_s=timeout_s
        )

    def _service(self, name: str) -> str:
        if name and name not in self._state.services:
            raise LabError(f"no process {name!r}; there are {' '.join(self._state.services)}")
        return name

    def _change(self, **changes: tuple[str, ...]) -> None:
        self._state = msgspec.structs.replace(self._state, **changes)
        layout.save_state(self._state)
