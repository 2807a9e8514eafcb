"""The four services of a node: their files, their command lines, and whether they answer.

In: a host and its configuration. Out: argument lists for `processes.py`; reasons why a service is
not ready. Counterpart: `lab.py`.
"""

import socket
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import redis

from deploy.lab import certificates, units
from deploy.lab.layout import Host
from overlay.cli.render import write_files
from overlay.config import Config, dump
from overlay.control.client import ControlClient
from overlay.control.messages import GetStatus, Status
from overlay.errors import SipfarmError
from overlay.identity import ca, files
from proxy.render import command_line_values

OVERLAY: Final = "overlay"
REDIS: Final = "redis"
PDNS: Final = "pdns"
KAMAILIO: Final = "kamailio"
ALL: Final = (REDIS, PDNS, OVERLAY, KAMAILIO)
"""In the order in which they are started; they are stopped in the reverse order."""

EXECUTABLES: Final = ("redis-server", "pdns_server", "kamailio", "dig", "ip", "nft", "setsid")

_ANSWER_WITHIN_S: Final = 1.0


def write_node(host: Host, config: Config, authority: Path) -> None:
    """The node's key and certificate, its farm.toml, and what each service reads."""
    for directory in (host.etc, host.run, host.data):
        directory.mkdir(parents=True, exist_ok=True)
    host.config.write_text(dump(config), encoding="utf-8")
    ca.issue(authority, config.farm.name, host.name, host.address, host.etc)
    render_node(host, config, authority)


def render_node(host: Host, config: Config, authority: Path) -> None:
    """What each service of an enrolled node reads, and the way to the operator's key."""
    # The lab's machine is the operator's, so its nodes find what a farm's nodes never have.
    certificates.issue(host, config.farm.name)
    (host.etc / files.OPERATOR_KEY).symlink_to(authority / files.OPERATOR_KEY)
    write_files(config, host.etc)


def command_of(service: str, host: Host, config: Config) -> list[str]:
    """What a service runs on the node, in the foreground."""
    if service == OVERLAY:
        return [sys.executable, "-m", "overlay.daemon", "--config", str(host.config)]
    return units.command_line(service, host, command_line_values(config))


def unready(service: str, config: Config, farm: Collection[str]) -> str:
    """Why the service is not ready, or nothing if it is.

    `farm` names the nodes that the service has to know as alive; empty, if there is no overlay to
    tell it.
    """
    checks: dict[str, Callable[[Config, Collection[str]], str]] = {
        REDIS: _redis_unready,
        PDNS: _pdns_unready,
        OVERLAY: _overlay_unready,
        KAMAILIO: _kamailio_unready,
    }
    reason = checks[service](config, farm)
    return f"{config.node.name} {service}: {reason}" if reason else ""


def _redis_unready(config: Config, _farm: Collection[str]) -> str:
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


def _pdns_unready(config: Config, farm: Collection[str]) -> str:
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
    if farm and len(answers) != len(farm):
        return f"names {len(answers)} of {len(farm)} nodes"
    return ""


def _overlay_unready(config: Config, farm: Collection[str]) -> str:
    try:
        with ControlClient(config.control_socket) as client:
            status = client.ask(GetStatus(), _ANSWER_WITHIN_S)
    except SipfarmError as error:
        return str(error)
    if not isinstance(status, Status):
        return f"answered {type(status).__name__}"
    alive = {node.name for node in status.nodes if node.state == "alive"}
    if missing := sorted(set(farm) - alive):
        return f"does not know as alive: {' '.join(missing)}"
    itself = next((node for node in status.nodes if node.name == config.node.name), None)
    return "" if itself is not None and itself.ready else "says that it is not ready"


def _kamailio_unready(config: Config, _farm: Collection[str]) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(_ANSWER_WITHIN_S / 2)
        client.connect((config.node.address, config.proxy.port))
        address, port = client.getsockname()
        request = (
            f"OPTIONS sip:{config.farm.name} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {address}:{port};branch=z9hG4bKlab{port};rport\r\n"
            f"From: <sip:lab@{address}>;tag=lab{port}\r\nTo: <sip:{config.farm.name}>\r\n"
            f"Call-ID: lab{port}@{address}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
            "Content-Length: 0\r\n\r\n"
        )
        try:
            client.send(request.encode("ascii"))
            return "" if client.recv(65535).startswith(b"SIP/2.0 2") else "OPTIONS refused"
        except OSError as error:
            return f"no answer to OPTIONS: {error}"
