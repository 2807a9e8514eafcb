"""The four services of a node: writes their files, gives their command lines, asks if they answer.

In: a host and its configuration. Out: files; argument lists for `processes.py`; reasons why a
service is not ready. Counterpart: `lab.py`.
"""

import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from deploy.lab import certificates, units
from deploy.lab.layout import Host
from overlay.base.errors import SipfarmError
from overlay.cli.render import write_files
from overlay.config.config import Config, dump
from overlay.control.client import ControlClient
from overlay.control.operator_messages import GetSettings, GetStatus, Status
from overlay.identity import ca, files
from overlay.kamailio.options_ping import why_silent
from proxy.render import command_line_values

OVERLAY: Final = "overlay"
REDIS: Final = "redis"
PDNS: Final = "pdns"
KAMAILIO: Final = "kamailio"
ALL: Final = (REDIS, PDNS, OVERLAY, KAMAILIO)
"""All services in the order in which they start. They stop in the reverse order."""

EXECUTABLES: Final = ("redis-server", "pdns_server", "kamailio", "dig", "ip", "nft", "setsid")

MEMORY_MIB: Final = {REDIS: 4, PDNS: 48, OVERLAY: 48, KAMAILIO: 54}
"""Memory of each service of a node without calls, a little more than was measured in a farm of
60 nodes."""

_ANSWER_WITHIN_S: Final = 1.0


def write_node(host: Host, config: Config, authority: Path) -> None:
    """Write the node's key and certificate, its farm.toml, and the files that its services read."""
    for directory in (host.etc, host.run, host.data):
        directory.mkdir(parents=True, exist_ok=True)
    host.config.write_text(dump(config), encoding="utf-8")
    ca.issue(authority, config.farm.name, host.name, host.address, host.etc)
    render_node(host, config, authority)


def render_node(host: Host, config: Config, authority: Path) -> None:
    """Write the files that the services of an enrolled node read, and a link to the operator's
    key."""
    # The lab's machine is the operator's host too, so that its nodes can sign subscribers. A real
    # farm's nodes never have the operator's key.
    certificates.issue(host, config.farm.name)
    config.pdns_socket_dir.mkdir(parents=True, exist_ok=True)
    (host.etc / files.OPERATOR_KEY).symlink_to(authority / files.OPERATOR_KEY)
    write_files(config, host.etc)


def command_of(service: str, host: Host, config: Config) -> list[str]:
    """The command line that runs a service on the node, in the foreground."""
    if service == OVERLAY:
        return [sys.executable, "-m", "overlay.daemon.main", "--config", str(host.config)]
    return units.command_line(service, host, command_line_values(config))


@dataclass(frozen=True, kw_only=True)
class Farm:
    """The names of the nodes that a node must see, on its side of a cut.

    If both are empty, any answer of a service will do.
    """

    alive: Collection[str]
    """The nodes whose overlay daemon runs; empty if there is none."""
    serving: Collection[str]
    """The nodes among them whose Kamailio runs."""

    @property
    def named(self) -> Collection[str]:
        """The nodes that DNS must name to phones."""
        return self.serving or self.alive


ANY_FARM: Final = Farm(alive=(), serving=())
"""Expects nothing of the other nodes, as a node that has just started knows few of them."""


def unready(service: str, config: Config, farm: Farm) -> str:
    """The reason why the service is not ready for this farm; empty if it is ready."""
    checks: dict[str, Callable[[Config, Farm], str]] = {
        REDIS: _redis_unready,
        PDNS: _pdns_unready,
        OVERLAY: _overlay_unready,
        KAMAILIO: _kamailio_unready,
    }
    reason = checks[service](config, farm)
    return f"{config.node.name} {service}: {reason}" if reason else ""


def _redis_unready(config: Config, _farm: Farm) -> str:
    client = redis.Redis(
        unix_socket_path=str(config.redis_socket),
        socket_timeout=_ANSWER_WITHIN_S,
        socket_connect_timeout=_ANSWER_WITHIN_S,
    )
    try:
        return "" if client.ping() else "no PONG"
    except (redis.RedisError, OSError) as error:
        return str(error)
    finally:
        client.close()


def _pdns_unready(config: Config, farm: Farm) -> str:
    where = [f"@{config.node.address}", "-p", str(config.dns.port)]
    done = subprocess.run(
        ["dig", *where, "+tries=1", "+time=1", "+noall", "+answer", config.farm.name, "A"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return "no answer to a DNS query"
    answers = [line for line in done.stdout.splitlines() if line and not line.startswith(";")]
    if farm.named and len(answers) != len(farm.named):
        return f"names {len(answers)} of {len(farm.named)} nodes"
    return ""


def _overlay_unready(config: Config, farm: Farm) -> str:
    # For a status, the daemon asks every node. It has the settings itself.
    question = GetStatus() if farm.alive else GetSettings()
    try:
        with ControlClient(config.control_socket) as client:
            answer = client.ask(question, _ANSWER_WITHIN_S)
    except SipfarmError as error:
        return str(error)
    if not farm.alive:
        return ""
    if not isinstance(answer, Status):
        return f"answered {type(answer).__name__}"
    alive = {node.name for node in answer.nodes if node.state == "alive"}
    if missing := sorted(set(farm.alive) - alive):
        return f"does not know as alive: {' '.join(missing)}"
    itself = next((node for node in answer.nodes if node.name == config.node.name), None)
    if itself is None:
        return "does not know itself"
    # A node without Kamailio gives that as one reason, and may have no other.
    reasons = 0 if config.node.name in farm.serving else int(itself.proxy == "away")
    return "; ".join(itself.unready) if len(itself.unready) > reasons else ""


def _kamailio_unready(config: Config, _farm: Farm) -> str:
    return why_silent(config, 0.0)
