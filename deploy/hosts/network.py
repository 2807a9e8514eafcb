"""The bridge that the hosts are on.

In: nothing. Out: `sfh0` with this machine's address. Counterparts: systemd-nspawn puts each host's
port there, and the host itself says its address (`machine.py`).
"""

import ipaddress
import json
from pathlib import Path

from deploy.hosts.commands import command
from deploy.hosts.layout import BRIDGE, MACHINE, NETWORK, PREFIX_BITS, Host, HostsError


def create_bridge() -> None:
    """The bridge; raises `HostsError` if somebody else uses its addresses."""
    for route in json.loads(
        command(["ip", "-json", "-4", "route", "show", "table", "all"]) or "[]"
    ):
        taken = route.get("dst", "default")
        if taken != "default" and ipaddress.ip_network(taken).overlaps(
            ipaddress.ip_network(NETWORK)
        ):
            where = f"{taken} on {route.get('dev')}"
            raise HostsError(f"the hosts' addresses {NETWORK} are in use: {where}")
    lines = (
        f"link add {BRIDGE} type bridge forward_delay 0",
        f"link set {BRIDGE} addrgenmode none",
        f"address add {MACHINE}/{PREFIX_BITS} dev {BRIDGE}",
        f"link set {BRIDGE} up",
    )
    command(["ip", "-batch", "-"], given="\n".join(lines) + "\n")


def delete_bridge() -> None:
    """Remove it, if it is there."""
    if _exists(BRIDGE):
        command(["ip", "link", "delete", BRIDGE])


def is_plugged(host: Host) -> bool:
    """Whether the host's port is there."""
    return _exists(host.interface)


def _exists(interface: str) -> bool:
    return Path("/sys/class/net", interface).exists()
