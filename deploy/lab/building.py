"""Makes a lab, and removes one in whatever state it is.

In: the number of nodes, and their settings. Out: namespaces, files and running services; nothing
of these after `remove`. Counterpart: `lab.py`. The directory of a host is made before anything else
of the host. So `remove` knows what belongs to the lab.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from deploy.lab import certificates, layout, network, processes, services, starting
from deploy.lab.layout import Host, LabError, LabState, host
from deploy.lab.readiness import Report
from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.config.sections import OverlaySection
from overlay.identity import ca

BOOTSTRAP_NODES: Final = 3
"""How many other nodes stand in a node's configuration; it learns of the rest from them."""

NODES_PER_CORE: Final = 5
"""Up to so many nodes a core, a farm's usual waiting times are long enough while nodes start."""
_WAITS: Final = ("request_timeout_ms", "probe_timeout_ms", "suspicion_min_ms")

TLS_PORT: Final = 5061
WS_PORT: Final = 8080
WSS_PORT: Final = 8443
WS_ORIGINS: Final = ("https://phone.farm.test",)
_LOCK_WITHIN_S: Final = 180.0
AUTHORITY_DIR: Final = layout.STATE_DIR / "ca"


def check_root() -> None:
    """Raise `LabError` unless this process runs as root: only root may make namespaces."""
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces, which only root may: use sudo")


def check_programs() -> None:
    """Raise `LabError` if a program that the lab runs is missing."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    missing = [name for name in services.EXECUTABLES if shutil.which(name, path=path) is None]
    if missing:
        raise LabError(f"not installed: {' '.join(missing)}; run deploy/install")


def check_memory(nodes: int, which: Collection[str], available_mib: float) -> None:
    """Raise `LabError` if these services of so many nodes need more memory than is available."""
    each_mib = sum(services.MEMORY_MIB[service] for service in which)
    if nodes * each_mib > available_mib:
        raise LabError(
            f"{nodes} nodes take {nodes * each_mib / 1024:.1f} GiB of memory, {each_mib} MiB each, "
            f"and {available_mib / 1024:.1f} GiB are free: at most {available_mib // each_mib:.0f}"
        )


def available_mib() -> float:
    """MiB of memory that programs can still get without swapping (proc(5), MemAvailable)."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) / 1024


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Hold the lock with which one command at a time changes the lab; raises `LabError` if it is
    not free in time."""
    until_s = time.monotonic() + _LOCK_WITHIN_S
    with open(layout.LOCK_FILE, "a", encoding="ascii") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until_s:
                    raise LabError("another command is changing the lab") from None
                time.sleep(0.05)
        yield


def node_config(
    node: Host, names: Sequence[str], farm: str, settings: Mapping[str, object]
) -> Config:
    """A node's configuration; raises `ConfigError` if a setting is wrong.

    `settings` are values by `section.key`.
    """
    others = [host(name).address for name in names if name != node.name]
    data: dict[str, dict[str, Any]] = {
        "farm": {"name": farm},
        "node": {
            "name": node.name,
            "address": node.address,
            "address6": node.address6,
            "data_dir": str(node.data),
            "run_dir": str(node.run),
            "identity_dir": str(node.etc),
        },
        "overlay": {"bootstrap": others[:BOOTSTRAP_NODES], **patience(len(names))},
        "metrics": {"address": node.address},
        # sipp answers the first challenge alone, and its only algorithm is MD5.
        "proxy": {"digest_algorithms": ("MD5", "SHA-256"), **edge_settings(node)},
    }
    for name, value in settings.items():
        section, dot, key = name.partition(".")
        if not dot:
            raise LabError(f"{name}: settings are given as section.key=value")
        data.setdefault(section, {})[key] = value
    return configuration.parse(data, node.name)


def patience(nodes: int, cores: int = os.cpu_count() or 1) -> dict[str, int]:
    """How long nodes wait for each other when many share few cores, as values of `[overlay]`.

    Each node waits for its turn on a core before it can answer. With the waiting times of a farm
    whose nodes have machines of their own, the nodes would take one another for dead. The work that
    this makes would delay them even more.
    """
    times = nodes / (NODES_PER_CORE * cores)
    if times <= 1:
        return {}
    usual = OverlaySection()
    return {name: int(getattr(usual, name) * times) for name in _WAITS}


def edge_settings(node: Host) -> dict[str, object]:
    """The transports that a node of the lab serves besides UDP and TCP, as values of `[proxy]`."""
    return {
        "tls_port": TLS_PORT,
        "ws_port": WS_PORT,
        "wss_port": WSS_PORT,
        "ws_origins": WS_ORIGINS,
        "tls_certificate": str(certificates.certificate_file(node)),
        "tls_key": str(certificates.key_file(node)),
        "tls_ca": str(certificates.AUTHORITY),
    }


def build(state: LabState, configs: Mapping[str, Config], report: Report, until_s: float) -> None:
    """Make everything of a lab and start its services, by `until_s` of the monotonic clock."""
    layout.save_state(state)
    ca.create(AUTHORITY_DIR, state.farm)
    certificates.create()
    network.create_bridge()
    for name in state.nodes:
        build_host(host(name), state.farm)
        services.write_node(host(name), configs[name], AUTHORITY_DIR)
    report(f"{len(state.nodes)} namespaces on {layout.BRIDGE}, certificates of {state.farm} signed")
    starting.start_nodes(state, configs, report, until_s)
    report(f"started {', '.join(state.services)} on each node")


def build_host(node: Host, farm: str) -> None:
    """Make a node's namespace, in which the farm's name has the node's own address."""
    itself = f"{node.address} {node.name}.{farm} {node.name} {farm}\n"
    network.create_host(node, f"127.0.0.1 localhost\n{itself}", [node.address], farm)


def remove(report: Report) -> bool:
    """Kill and delete everything that belongs to the lab; false if there was nothing."""
    was_there = layout.STATE_DIR.exists() or network.bridge_exists()
    hosts = _hosts_left()
    for pids in processes.of_hosts(hosts).values():
        processes.send(pids, signal.SIGKILL)
    for each in hosts:
        processes.kill_all(each)
    for each in hosts:
        network.delete_host(each)
    network.delete_bridge()
    for directory in (layout.DATA_DIR, layout.STATE_DIR):
        shutil.rmtree(directory, ignore_errors=True)
    if was_there:
        report(f"removed {len(hosts)} hosts, their processes and {layout.BRIDGE}")
    return was_there


def _hosts_left() -> list[Host]:
    """The hosts that have a directory, or still an interface though their directory is gone."""
    names = network.hosts_with_interface()
    if layout.STATE_DIR.is_dir():
        names |= {entry.name for entry in layout.STATE_DIR.iterdir()}
    found = []
    for name in sorted(names):
        with contextlib.suppress(LabError):
            found.append(host(name))
    return found
