"""Makes the lab's network: one bridge, a namespace and a pair of interfaces for each host, cuts.

In: hosts of `layout.py`. Out: namespaces, interfaces and rules, by `ip` and `nft`. Counterpart:
`lab.py`. Everything can be removed again by its name, also when it is only half there.

No host asks for link addresses (ARP, RFC 826; neighbour discovery, RFC 4861). The kernel keeps
learned addresses in one table for all namespaces, with 1,024 entries by default. It sends nothing
to a host for which the table has no room: 32 hosts that all talk to each other would fill it.
Permanent entries do not count. So each host has a permanent entry for every host that may exist.
"""

import ipaddress
import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.lab import layout
from deploy.lab.layout import (
    BRIDGE,
    GATEWAY,
    GATEWAY6,
    GATEWAY_LINK,
    NETNS_DIR,
    NETWORK,
    PREFIX6_BITS,
    PREFIX_BITS,
    Host,
    LabError,
)

_CUT_TABLE = "sipfarm_lab"
_COMMAND_TIMEOUT_S = 30


def command(argv: Sequence[str], given: str = "") -> str:
    """Run a command and return its output; raises `LabError` with the command's complaint."""
    try:
        done = subprocess.run(
            argv,
            input=given,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed; run deploy/install") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(argv)}: no end after {_COMMAND_TIMEOUT_S} s") from error
    if done.returncode:
        reason = done.stderr.strip() or f"exit status {done.returncode}"
        raise LabError(f"{' '.join(argv)}: {reason}")
    return done.stdout


def check_range_free() -> None:
    """Raise `LabError` if something else on this machine has the lab's addresses or names."""
    lab = ipaddress.ip_network(NETWORK)
    for route in _ip_json("-4", "route", "show", "table", "all"):
        if route["dst"] == "default" or route.get("dev") == BRIDGE:
            continue
        if ipaddress.ip_network(route["dst"]).overlaps(lab):
            raise LabError(
                f"the lab's addresses {NETWORK} are in use: {route['dst']} on {route.get('dev')}"
            )
    if bridge_exists():
        raise LabError(f"interface {BRIDGE} is there already; clean up with: sipfarm lab down")


def bridge_exists() -> bool:
    """Whether a lab's bridge is there."""
    return _interface_exists(BRIDGE)


def create_bridge() -> None:
    """Make the bridge, with the machine's own address on it."""
    _ip_batch(
        f"link add {BRIDGE} address {GATEWAY_LINK} type bridge forward_delay 0",
        f"link set {BRIDGE} addrgenmode none",
        f"address add {GATEWAY}/{PREFIX_BITS} dev {BRIDGE}",
        *_address6(GATEWAY6 if layout.has_ipv6() else "", BRIDGE),
        f"link set {BRIDGE} up",
        *_neighbours(BRIDGE, layout.every_host()),
    )


def delete_bridge() -> None:
    """Remove the bridge and the cuts, if they are there."""
    heal()
    if bridge_exists():
        _ip_batch(f"link delete {BRIDGE}")


def create_host(host: Host, hosts_file: str, nameservers: Iterable[str], search: str) -> None:
    """Make the host's namespace, its interface, and its own /etc/hosts and /etc/resolv.conf.

    Raises `LabError` if a namespace of that name is there, as it does not belong to the lab.
    """
    if (NETNS_DIR / host.name).exists():
        raise LabError(f"a network namespace {host.name} is there already, and not the lab's")
    host.directory.mkdir(parents=True, exist_ok=True)
    host.netns_etc.mkdir(parents=True, exist_ok=True)
    (host.netns_etc / "hosts").write_text(hosts_file, encoding="ascii")
    lines = [f"nameserver {address}" for address in nameservers]
    lines += [f"search {search}", "options timeout:1 attempts:2"]
    (host.netns_etc / "resolv.conf").write_text("\n".join(lines) + "\n", encoding="ascii")
    _ip_batch(
        f"netns add {host.name}",
        f"link add {host.interface} type veth peer name eth0 netns {host.name}",
        f"link set {host.interface} addrgenmode none",
        f"link set {host.interface} master {BRIDGE}",
        f"link set {host.interface} up",
    )
    _ip_batch(
        "link set lo up",
        f"link set eth0 address {host.link_address} addrgenmode none",
        f"address add {host.address}/{PREFIX_BITS} dev eth0",
        *_address6(host.address6, "eth0"),
        "link set eth0 up",
        f"route add default via {GATEWAY}",
        *_neighbours("eth0", [each for each in layout.every_host() if each.name != host.name]),
        *_neighbour("eth0", GATEWAY_LINK, GATEWAY, GATEWAY6 if layout.has_ipv6() else ""),
        namespace=host.name,
    )


def delete_host(host: Host) -> None:
    """Remove those of the host's namespace, interface and files that are there."""
    if _interface_exists(host.interface):
        _ip_batch(f"link delete {host.interface}")
    if (NETNS_DIR / host.name).exists():
        _ip_batch(f"netns delete {host.name}")
    shutil.rmtree(host.netns_etc, ignore_errors=True)
    with suppress(OSError):  # not empty, or a mount
        layout.NETNS_ETC_DIR.rmdir()


def cut(hosts: Sequence[Host]) -> None:
    """Drop everything between these hosts and all others; replaces an earlier cut.

    Frames vanish on the bridge, as on a broken cable, so no host gets an error. The machine itself
    still reaches every host.
    """
    names = ", ".join(f'"{host.interface}"' for host in hosts)
    rules = f"""
        table bridge {_CUT_TABLE}
        delete table bridge {_CUT_TABLE}
        table bridge {_CUT_TABLE} {{
            set cut {{ type ifname; elements = {{ {names} }} }}
            chain forward {{
                type filter hook forward priority 0
                iifname @cut oifname != @cut drop
                iifname != @cut oifname @cut drop
            }}
        }}
    """
    command(["nft", "-f", "-"], rules)


def heal() -> None:
    """Undo a cut, if there is one."""
    command(["nft", "-f", "-"], f"table bridge {_CUT_TABLE}\ndelete table bridge {_CUT_TABLE}\n")


def hosts_with_interface() -> set[str]:
    """The names of the hosts whose port on the bridge is there."""
    prefix = layout.INTERFACE_PREFIX
    names = (entry.name for entry in Path("/sys/class/net").iterdir())
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def _address6(address: str, interface: str) -> list[str]:
    """The arguments of `ip` for an IPv6 address that is usable at once. The kernel would first
    search the bridge for a second user of it, for a second; no other program is there."""
    return [f"address add {address}/{PREFIX6_BITS} dev {interface} nodad"] if address else []


def _neighbours(interface: str, hosts: Iterable[Host]) -> list[str]:
    lines = (_neighbour(interface, h.link_address, h.address, h.address6) for h in hosts)
    return [line for of_host in lines for line in of_host]


def _neighbour(interface: str, link_address: str, *addresses: str) -> list[str]:
    entry = f"lladdr {link_address} dev {interface} nud permanent"
    return [f"neighbour add {address} {entry}" for address in addresses if address]


def _interface_exists(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def _ip_json(*arguments: str) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = json.loads(command(["ip", "-json", *arguments]) or "[]")
    return [entry for entry in parsed if entry]


def _ip_batch(*lines: str, namespace: str = "") -> None:
    options = ["-netns", namespace] if namespace else []
    command(["ip", *options, "-batch", "-"], "\n".join(lines) + "\n")
