"""Makes the peers' network: a bridge, and a namespace for each host, shaped like the lab's.

In: host names. Out: `Host`s that processes can be started in. Counterpart: `farm.py`, which gives
the lab's hosts as the same type. Nothing here touches the addresses of this machine, as the bridge
has none.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BRIDGE = "sipfarmb0"
_PREFIX = "sipfarmb-"
_LINK_PREFIX = "sfb"
_FIRST_ADDRESS = 11
_GONE_WITHIN_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Host:
    """A network namespace with an address of its own."""

    namespace: str
    address: str

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line that runs `arguments` on this host."""
        return ["ip", "netns", "exec", self.namespace, *arguments]


@contextmanager
def hosts(names: Sequence[str]) -> Iterator[tuple[Host, ...]]:
    """One host a name, all on one bridge; what runs on them is killed at the end."""
    remove()
    try:
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("link", "set", BRIDGE, "up")
        yield tuple(_add(name, number) for number, name in enumerate(names, _FIRST_ADDRESS))
    finally:
        remove()


def remove() -> None:
    """Remove bridge and hosts, also those that an earlier, killed run left behind."""
    for line in _ip("netns", "list").splitlines():
        if line.startswith(_PREFIX):
            namespace = line.split()[0]
            _kill_all(namespace)
            _ip("netns", "delete", namespace)
    # A namespace is taken apart some time after its deletion, and its link's name is taken until
    # then; the link itself goes at once.
    for link in Path("/sys/class/net").glob(f"{_LINK_PREFIX}*"):
        subprocess.run(["ip", "link", "delete", link.name], capture_output=True, check=False)
    if subprocess.run(["ip", "link", "show", BRIDGE], capture_output=True, check=False).returncode:
        return
    _ip("link", "delete", BRIDGE)


def _add(name: str, number: int) -> Host:
    host = Host(namespace=_PREFIX + name, address=f"10.78.0.{number}")
    veth = f"{_LINK_PREFIX}{number}"
    _ip("netns", "add", host.namespace)
    _ip(
        *("link", "add", veth, "master", BRIDGE, "type", "veth"),
        *("peer", "name", "eth0", "netns", host.namespace),
    )
    _ip("link", "set", veth, "up")
    for device in ("lo", "eth0"):
        _ip("-n", host.namespace, "link", "set", device, "up")
    _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
    return host


def _kill_all(namespace: str) -> None:
    until_s = time.monotonic() + _GONE_WITHIN_S
    while pids := _ip("netns", "pids", namespace).split():
        for pid in pids:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > until_s:
            raise TimeoutError(f"processes of {namespace} do not end: {' '.join(pids)}")
        time.sleep(0.02)


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
