"""Names, addresses and paths of the test hosts, and their state file.

In: a host's name. Out: where everything of it is. Counterparts: all other files of this folder;
nothing here touches the machine but the functions of the state file.
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
"""What is fetched or made once: the base system, packages, earlier releases. Below where
`deploy/package` keeps what it fetches."""
DATA_DIR: Final = (
    Path(os.environ["SIPFARM_LAB_DATA"]).with_name("hosts")
    if "SIPFARM_LAB_DATA" in os.environ
    else Path("/var/lib/sipfarm-hosts")
)
"""All that goes with the hosts. `deploy/apart` sets the variable, and removes what is there."""

BRIDGE: Final = "sfh0"
INTERFACE_PREFIX: Final = "vb-"
"""systemd-nspawn names a host's port on the bridge so."""
NETWORK: Final = "10.99.0.0/24"
NETWORK_PREFIX: Final = "10.99.0."
PREFIX_BITS: Final = 24
MACHINE: Final = "10.99.0.1"
"""This machine: it serves packages, runs Ansible, and has the phones."""
PACKAGES_PORT: Final = 8000

OPERATOR: Final = "op"
_OPERATOR_NUMBER: Final = 10
_NODE_FIRST: Final = 11
_NODES_MAX: Final = 80
_NODE_NAME: Final = re.compile(r"n([1-9][0-9]?)")


class HostsError(SipfarmError):
    """The hosts cannot do what was asked; the text says what to do about it."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """A Debian system of its own, with one address on the bridge."""

    name: str
    address: str

    @property
    def directory(self) -> Path:
        """Everything of it."""
        return DATA_DIR / self.name

    @property
    def root(self) -> Path:
        """Its root file system: what it changed, over the base."""
        return self.directory / "root"

    @property
    def console(self) -> Path:
        """What it says while it boots."""
        return self.directory / "console.log"

    @property
    def interface(self) -> str:
        """Its port on the bridge."""
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
    """What has to be known between two commands."""

    names: tuple[str, ...] = ()
    owner: int = 0
    """The process whose end is the hosts' end; 0 if they stay until somebody says `down`."""
    owner_started: int = 0
    """When that process started, in clock ticks since boot: numbers of processes come again."""


_STATE_FILE: Final = DATA_DIR / "state.json"
SSH_CONFIG: Final = DATA_DIR / "ssh_config"
SSH_KEY: Final = DATA_DIR / "id"
KNOWN_HOSTS: Final = DATA_DIR / "known_hosts"
REPOSITORY: Final = DATA_DIR / "packages"


def load_state() -> HostsState:
    """Raises `HostsError` if no hosts are there."""
    try:
        return msgspec.json.decode(_STATE_FILE.read_bytes(), type=HostsState)
    except FileNotFoundError:
        raise HostsError("no hosts are up; start some with: deploy/hosts/run up") from None


def save_state(state: HostsState) -> None:
    """Written at once or not at all."""
    scratch = _STATE_FILE.with_suffix(".new")
    scratch.write_bytes(msgspec.json.encode(state))
    scratch.replace(_STATE_FILE)
