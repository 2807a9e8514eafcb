"""Names, addresses and paths of the test hosts, and their state file.

In: a host's name. Out: the host's address and paths. Counterparts: all other files of this folder.
Only the functions for the state file touch the machine.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from overlay.base.errors import SipfarmError

_CACHE_HOME: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
CACHE_DIR: Final = Path(os.environ.get("SIPFARM_CACHE", _CACHE_HOME / "sipfarm")) / "hosts"
"""Holds what is fetched or made once: the base system, packages, earlier releases. It is a folder
in the cache of `deploy/package`."""
DATA_DIR: Final = (
    Path(os.environ["SIPFARM_LAB_DATA"]).with_name("hosts")
    if "SIPFARM_LAB_DATA" in os.environ
    else Path("/var/lib/sipfarm-hosts")
)
"""Holds everything that is removed together with the hosts. `deploy/apart` sets the variable to a
directory of its run, which it removes at the end."""

BRIDGE: Final = "sfh0"
INTERFACE_PREFIX: Final = "vb-"
"""systemd-nspawn begins the name of a host's port on the bridge with this."""
NETWORK: Final = "10.99.0.0/24"
NETWORK_PREFIX: Final = "10.99.0."
PREFIX_BITS: Final = 24
MACHINE: Final = "10.99.0.1"
"""The address of this machine, which serves packages, runs Ansible and has the phones."""
PACKAGES_PORT: Final = 8000

OPERATOR: Final = "op"
_OPERATOR_NUMBER: Final = 10
_NODE_FIRST: Final = 11
_NODES_MAX: Final = 80
_NODE_NAME: Final = re.compile(r"n([1-9][0-9]?)")


class HostsError(SipfarmError):
    """A request to the hosts failed; the text says what people can do about it."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """A whole Debian system, with one address on the bridge."""

    name: str
    address: str

    @property
    def directory(self) -> Path:
        """The directory with all files of this host."""
        return DATA_DIR / self.name

    @property
    def root(self) -> Path:
        """The host's root file system: the base system with the host's changes laid over it."""
        return self.directory / "root"

    @property
    def console(self) -> Path:
        """The log of what the host prints while it boots."""
        return self.directory / "console.log"

    @property
    def interface(self) -> str:
        """The name of the host's port on the bridge."""
        return f"{INTERFACE_PREFIX}{self.name}"


def host(name: str) -> Host:
    """The host of that name: `op`, the operator's, or a node, `n1`, `n2`, …"""
    number = _OPERATOR_NUMBER
    if name != OPERATOR:
        found = _NODE_NAME.fullmatch(name)
        if found is None or int(found[1]) > _NODES_MAX:
            raise HostsError(f"no host can be named {name!r}: op, n1, n2, … n{_NODES_MAX}")
        number = _NODE_FIRST + int(found[1]) - 1
    return Host(name=name, address=f"{NETWORK_PREFIX}{number}")


class HostsState(msgspec.Struct, frozen=True, kw_only=True):
    """What the next command must know of the hosts."""

    names: tuple[str, ...] = ()
    owner: int = 0
    """The id of the process with which the hosts end; 0 if they stay until `down`."""
    owner_started: int = 0
    """When that process started, in clock ticks since boot, as the kernel uses ids again."""


_STATE_FILE: Final = DATA_DIR / "state.json"
SSH_CONFIG: Final = DATA_DIR / "ssh_config"
SSH_KEY: Final = DATA_DIR / "id"
KNOWN_HOSTS: Final = DATA_DIR / "known_hosts"
REPOSITORY: Final = DATA_DIR / "packages"


def load_state() -> HostsState:
    """The state of the hosts that are up; raises `HostsError` if there are none."""
    try:
        return msgspec.json.decode(_STATE_FILE.read_bytes(), type=HostsState)
    except FileNotFoundError:
        raise HostsError("no hosts are up; start some with: deploy/hosts/run up") from None


def save_state(state: HostsState) -> None:
    """Store the state. A reader sees the old one or the new one, never half of it."""
    scratch = _STATE_FILE.with_suffix(".new")
    scratch.write_bytes(msgspec.json.encode(state))
    scratch.replace(_STATE_FILE)
