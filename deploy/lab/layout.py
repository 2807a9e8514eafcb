"""Names, addresses and paths of the lab, and its state file.

In: a host's name. Out: the host's addresses and paths. Counterparts: all other modules here. Only
`load_state` and `save_state` touch the machine.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from overlay.base.errors import SipfarmError

STATE_DIR: Final = Path("/run/sipfarm-lab")
DATA_DIR: Final = Path(os.environ.get("SIPFARM_LAB_DATA", "/var/lib/sipfarm-lab"))
"""Holds the databases. They are not under /run, which is memory on most systems, as an fsync must
cost what it costs on a disk. `deploy/apart` sets the variable."""
LOCK_FILE: Final = Path("/run/sipfarm-lab.lock")
NETNS_DIR: Final = Path("/run/netns")
NETNS_ETC_DIR: Final = Path("/etc/netns")

BRIDGE: Final = "sipfarm0"
INTERFACE_PREFIX: Final = "sf-"
NETWORK: Final = "10.77.0.0/24"
NETWORK_PREFIX: Final = "10.77.0."
PREFIX_BITS: Final = 24
GATEWAY: Final = "10.77.0.1"
NETWORK6_PREFIX: Final = "fd77::"
"""A host's IPv6 address ends with the same number as its IPv4 address, so that people recognize
it."""
PREFIX6_BITS: Final = 64
GATEWAY6: Final = f"{NETWORK6_PREFIX}1"
GATEWAY_LINK: Final = "02:00:0a:4d:00:01"
_LINK_PREFIX: Final = "02:00:0a:4d:00:"
"""The link addresses of the lab's interfaces: locally administered (IEEE 802), then the first three
bytes of NETWORK. The last byte is that of the host's IPv4 address."""
_IPV6_OFF: Final = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
NODE_FIRST: Final = 11
PHONE_FIRST: Final = 101
NODES_MAX: Final = 80
PHONES_MAX: Final = 100

_HOST_NAME = re.compile(r"([np])([1-9][0-9]{0,2})")


class LabError(SipfarmError):
    """A request to the lab failed; the text says what people can do about it."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """A node or a phone host: a network namespace with one IPv4 address on the bridge, and one IPv6
    address if this machine's kernel has IPv6."""

    name: str
    address: str
    address6: str = ""
    link_address: str
    """The link address of the host's interface, at the end inside the namespace."""
    is_node: bool

    @property
    def interface(self) -> str:
        """The host's port on the bridge, in the namespace of the machine itself."""
        return f"{INTERFACE_PREFIX}{self.name}"

    @property
    def directory(self) -> Path:
        """The directory with all files of the host that a farm can lose."""
        return STATE_DIR / self.name

    @property
    def etc(self) -> Path:
        """The directory with configuration, key and certificate."""
        return self.directory / "etc"

    @property
    def run(self) -> Path:
        """The directory with the Unix sockets."""
        return self.directory / "run"

    @property
    def data(self) -> Path:
        """The directory with the databases, on a real disk."""
        return DATA_DIR / self.name

    @property
    def config(self) -> Path:
        """The node's farm.toml."""
        return self.etc / "farm.toml"

    def log(self, service: str) -> Path:
        """The file that gets a service's output."""
        return self.directory / "log" / f"{service}.log"

    def pid_file(self, service: str) -> Path:
        """The file with the id of the service's first process, which is also its session's id."""
        return self.directory / "pid" / service

    @property
    def netns_etc(self) -> Path:
        """The directory whose files `ip netns exec` shows as files of /etc."""
        return NETNS_ETC_DIR / self.name


def host(name: str) -> Host:
    """The host of that name, whether it exists or not; raises `LabError` for other names."""
    match = _HOST_NAME.fullmatch(name)
    if match is None:
        raise LabError(f"{name!r} is no host of the lab: nodes are n1, n2, …, phones p1, p2, …")
    is_node, number = match[1] == "n", int(match[2])
    if number > (NODES_MAX if is_node else PHONES_MAX):
        raise LabError(f"{name}: the lab has room for {NODES_MAX} nodes and {PHONES_MAX} phones")
    last = number - 1 + (NODE_FIRST if is_node else PHONE_FIRST)
    return Host(
        name=name,
        address=f"{NETWORK_PREFIX}{last}",
        address6=f"{NETWORK6_PREFIX}{last}" if has_ipv6() else "",
        link_address=f"{_LINK_PREFIX}{last:02x}",
        is_node=is_node,
    )


def every_host() -> list[Host]:
    """All hosts that a lab may have, whether they exist or not."""
    nodes = [f"n{number}" for number in range(1, NODES_MAX + 1)]
    return [host(name) for name in (*nodes, *(f"p{n}" for n in range(1, PHONES_MAX + 1)))]


def has_ipv6() -> bool:
    """Whether this machine's kernel gives new interfaces an IPv6 address."""
    try:
        return _IPV6_OFF.read_text(encoding="ascii").strip() == "0"
    except OSError:
        return False


class LabState(msgspec.Struct, frozen=True, kw_only=True):
    """What the next command must know of the lab. Everything else is read from the system."""

    farm: str
    nodes: tuple[str, ...]
    services: tuple[str, ...]
    phones: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    """The names of the hosts that are cut off from the others."""


def load_state() -> LabState:
    """The state of the lab that is up; raises `LabError` when none is."""
    try:
        data = _state_file().read_bytes()
    except FileNotFoundError:
        raise LabError("no lab is up; start one with: sipfarm lab up --nodes 3") from None
    try:
        return msgspec.json.decode(data, type=LabState)
    except msgspec.MsgspecError as error:
        raise LabError(f"{_state_file()}: {error}; clean up with: sipfarm lab down") from error


def save_state(state: LabState) -> None:
    """Store the state. A reader sees the old one or the new one, never half of it."""
    STATE_DIR.mkdir(parents=True, exist_ok=True)
    temporary = _state_file().with_suffix(".new")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
    os.replace(temporary, _state_file())


def _state_file() -> Path:
    return STATE_DIR / "lab.json"
