"""Makes and removes the bridge that connects the hosts.

In: nothing. Out: the bridge `sfh0` with this machine's address. Counterparts: systemd-nspawn,
which puts each host's port on the bridge; `machine.py`, whose files give each host its address.
"""

import ipaddress
import json
from pathlib import Path

from deploy.hosts.commands import command
from deploy.hosts.layout import BRIDGE, MACHINE, NETWORK, PREFIX_BITS, Host, HostsError


def create_bridge() -> None:
    """Make the bridge; raises `HostsError` if its addresses are in use already."""
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
    """Remove the bridge, if it is there, and the cables of all hosts."""
    if _exists(BRIDGE):
        for port in sorted(Path("/sys/class/net", BRIDGE, "brif").iterdir()):
            _delete(port.name)
        _delete(BRIDGE)


def unplug(host: Host) -> None:
    """Remove the host's cable, if it is there.

    The kernel removes it by itself once nothing holds the network of a killed host. But an open
    connection whose peer no longer answers may hold that network for minutes.
    """
    _delete(host.interface)


def _delete(interface: str) -> None:
    try:
        command(["ip", "link", "delete", interface])
    except HostsError:
        # The kernel may have removed it first.
        if _exists(interface):
            raise


def _exists(interface: str) -> bool:
    return Path("/sys/class/net", interface).exists()
