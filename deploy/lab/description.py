"""Describes the lab for programs: the answer of `sipfarm lab up --json` and `lab status --json`.

In: the lab's state, its configurations and processes. Out: one structure.
Counterpart: `overlay/cli/lab.py`, which prints it.
"""

from collections.abc import Mapping, Sequence

import msgspec

from deploy.lab import layout, processes
from deploy.lab.layout import Host, LabState, host
from deploy.lab.processes import ProcessState
from overlay.config.config import Config


class ServiceDescription(msgspec.Struct, frozen=True, kw_only=True):
    """One service of a node, as it is now."""

    name: str
    state: ProcessState
    pid: int
    """The id of the service's first process; 0 if the service is dead."""
    pids: tuple[int, ...]
    log: str


class NodeDescription(msgspec.Struct, frozen=True, kw_only=True):
    """One node, with its addresses, paths and services."""

    name: str
    address: str
    cut: bool
    config: str
    directory: str
    data: str
    sip: str
    overlay: str
    dns: str
    metrics: str
    control_socket: str
    redis_socket: str
    dns_socket: str
    kamailio_socket: str
    processes: tuple[ServiceDescription, ...]


class PhoneDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A phone host: a network namespace for phones."""

    name: str
    address: str
    cut: bool
    pids: tuple[int, ...]


class LabDescription(msgspec.Struct, frozen=True, kw_only=True):
    """The lab as it is now."""

    farm: str
    bridge: str
    gateway: str
    """The host machine's address on the bridge."""
    nodes: tuple[NodeDescription, ...]
    phones: tuple[PhoneDescription, ...]


def describe(state: LabState, configs: Mapping[str, Config]) -> LabDescription:
    """The lab as it is now."""
    pids = processes.of_hosts([host(name) for name in (*state.nodes, *state.phones)])
    return LabDescription(
        farm=state.farm,
        bridge=layout.BRIDGE,
        gateway=layout.GATEWAY,
        nodes=tuple(_node(host(name), state, configs[name], pids[name]) for name in state.nodes),
        phones=tuple(
            PhoneDescription(
                name=name,
                address=host(name).address,
                cut=name in state.cut,
                pids=tuple(pids[name]),
            )
            for name in state.phones
        ),
    )


def _node(node: Host, state: LabState, config: Config, pids: Sequence[int]) -> NodeDescription:
    of_services = processes.of_services(node, state.services, pids)
    return NodeDescription(
        name=node.name,
        address=node.address,
        cut=node.name in state.cut,
        config=str(node.config),
        directory=str(node.directory),
        data=str(node.data),
        sip=f"{node.address}:{config.proxy.port}",
        overlay=f"{node.address}:{config.overlay.port}",
        dns=f"{node.address}:{config.dns.port}",
        metrics=f"http://{config.metrics.address}:{config.metrics.port}/metrics",
        control_socket=str(config.control_socket),
        redis_socket=str(config.redis_socket),
        dns_socket=str(config.dns_socket),
        kamailio_socket=str(config.kamailio_socket),
        processes=tuple(_service(node, *each) for each in of_services.items()),
    )


def _service(node: Host, service: str, pids: Sequence[int]) -> ServiceDescription:
    doing = processes.state_of(pids)
    first = processes.session_of(node, service)
    return ServiceDescription(
        name=service,
        state=doing,
        pid=0 if doing is ProcessState.DEAD else first,
        pids=tuple(pids),
        log=str(node.log(service)),
    )
