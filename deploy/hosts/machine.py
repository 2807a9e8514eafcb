"""Makes one host's files, and starts and ends its processes.

In: a host. Out: an overlay file system on the base system, and a systemd that boots on it under
systemd-nspawn. Counterparts: `hosts.py`; `cgroups.py`, which finds and ends a host's processes.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from deploy.hosts import base, cgroups, network, packages
from deploy.hosts.commands import command
from deploy.hosts.layout import BRIDGE, MACHINE, PREFIX_BITS, SSH_KEY, Host

_KEY: Final = "etc/ssh/ssh_host_ed25519_key"
_OFF_WITHIN_S: Final = 30.0
_REBOOTED: Final = 133
# nspawn exits with this status when its host reboots. No systemd outside starts it again, so the
# loop below does.
_SUPERVISOR: Final = f"""
while :; do
    "$@"
    [ $? = {_REBOOTED} ] || exit 0
done
"""


def create(host: Host) -> str:
    """Make the host's files; returns its public key, as it stands in known_hosts."""
    for name in ("changes", "work", "root"):
        (host.directory / name).mkdir(parents=True)
    layers = {
        "lowerdir": base.made(),
        "upperdir": host.directory / "changes",
        "workdir": host.directory / "work",
    }
    options = ",".join(f"{name}={path}" for name, path in layers.items())
    command(["mount", "-t", "overlay", "overlay", "-o", options, str(host.root)])
    _write(host, "etc/hostname", f"{host.name}\n")
    _write(host, "etc/hosts", f"127.0.0.1 localhost\n{host.address} {host.name}\n")
    _write(
        host,
        "etc/systemd/network/10-host0.network",
        f"[Match]\nName=host0\n[Network]\nAddress={host.address}/{PREFIX_BITS}\n"
        f"Gateway={MACHINE}\nIPv6AcceptRA=no\n",
    )
    _write(host, "etc/apt/sources.list", packages.SOURCES_LIST)
    _write(host, "root/.ssh/authorized_keys", SSH_KEY.with_suffix(".pub").read_text("ascii"))
    key = host.root / _KEY
    command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name, "-f", str(key)])
    return key.with_suffix(".pub").read_text(encoding="ascii")


def start(host: Host) -> None:
    """Switch the host on, without waiting until it has booted."""
    nspawn = [
        *("systemd-nspawn", "--quiet", "--boot", f"--directory={host.root}"),
        *(f"--machine={host.name}", f"--network-bridge={BRIDGE}", "--link-journal=no"),
        # The host is not registered with a systemd outside; its name and time zone are its own.
        *("--register=no", "--keep-unit", "--resolv-conf=off", "--timezone=off"),
    ]
    cgroups.start(host.name, ["sh", "-c", _SUPERVISOR, "sh", *nspawn], host.console)


def kill(host: Host) -> None:
    """Send SIGKILL to all processes of the host, as when its power fails."""
    cgroups.kill(host.name)
    network.unplug(host)


def switch_off(host: Host) -> None:
    """Shut the host down; processes that have not ended in time are killed."""
    until_s = time.monotonic() + _OFF_WITHIN_S
    for pid in _nspawn(host):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    while cgroups.processes(host.name) and time.monotonic() < until_s:
        time.sleep(0.05)
    kill(host)


def _nspawn(host: Host) -> list[int]:
    found = []
    for pid in cgroups.processes(host.name):
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "systemd-nspawn":
                found.append(pid)
    return found


def _write(host: Host, path: str, text: str) -> None:
    file = host.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="ascii")
