"""Makes the Debian system that every host starts from, once, and keeps it in the cache.

In: the archive and the proxy that apt uses on this machine. Out: a directory in the cache, whose
name holds a hash of this file, so that a change here makes a new one. Counterpart: debootstrap.
Making it needs the network: `deploy/hosts/run prepare` does so before a run without one.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.hosts.commands import command
from deploy.hosts.layout import CACHE_DIR, HostsError

SUITE: Final = "bookworm"
_INCLUDED: Final = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "iproute2", "procps", "nftables"),
    *("sudo", "python3", "python3-apt", "ca-certificates"),
)
"""The packages of a server that people reach by ssh, and those that Ansible needs there."""
_MASKED: Final = (
    *("systemd-resolved.service", "console-getty.service", "getty@.service"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer"),
)
_MAKE_WITHIN_S: Final = 900.0
_UNUSED_S: Final = 30 * 86_400.0
"""When a base system is made, others that no host used for so long are removed."""
_SOURCE_FORMAT: Final = "$(CODENAME) $(LABEL) $(COMPONENT) $(REPO_URI)"


def made() -> Path:
    """The directory of the base system; raises `HostsError` if it was not made yet."""
    base = _directory()
    if not base.is_dir():
        raise HostsError("there is no base system yet; make it with: deploy/hosts/run prepare")
    os.utime(base)
    return base


def make() -> Path:
    """The directory of the base system, which is made now if it is not there."""
    base = _directory()
    with cache_lock():
        if base.is_dir():
            return base
        for other in base.parent.glob("base-*"):
            # It is not removed at once, as hosts of another clone of the project may run on it.
            if time.time() - other.stat().st_mtime > _UNUSED_S:
                shutil.rmtree(other)
        scratch = base.with_name(f"{base.name}.making")
        _debootstrap(scratch)
        _adapt(scratch)
        scratch.rename(base)
    return base


@contextlib.contextmanager
def cache_lock() -> Iterator[None]:
    """Hold the lock with which one process at a time changes the cache."""
    CACHE_DIR.mkdir(parents=True, exist_ok=True)
    with open(CACHE_DIR / "lock", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _directory() -> Path:
    recipe = Path(__file__).read_bytes()
    return CACHE_DIR / f"base-{hashlib.sha256(recipe).hexdigest()[:12]}"


def _debootstrap(target: Path) -> None:
    downloads = CACHE_DIR / "debootstrap"
    downloads.mkdir(exist_ok=True)
    # debootstrap runs in namespaces of its own. If it is killed, its mounts in the target end too.
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    command(
        [
            *(*apart, "debootstrap", "--variant=minbase", f"--include={','.join(_INCLUDED)}"),
            *(f"--cache-dir={downloads}", SUITE, str(target), _archive()),
        ],
        timeout_s=_MAKE_WITHIN_S,
        variables=_proxy(),
    )


def _adapt(base: Path) -> None:
    """Remove files that must differ between hosts, and services that wait for absent things."""
    (base / "etc/machine-id").write_bytes(b"")
    for key in (base / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    # `machine.create` makes each host's own key before the host boots, so that ssh knows it.
    (base / "etc/ssh/sshd_config.d/hosts.conf").write_text(
        "HostKey /etc/ssh/ssh_host_ed25519_key\nUseDNS no\n", encoding="ascii"
    )
    (base / "etc/hostname").unlink(missing_ok=True)
    # Without the file, each lookup of a name would wait ten seconds for a silent name server.
    (base / "etc/resolv.conf").write_bytes(b"")
    # The fetched packages are in the cache, and a host cannot reach the archive.
    shutil.rmtree(base / "var/cache/apt/archives")
    # What dpkg has written need not outlive this machine.
    (base / "etc/dpkg/dpkg.cfg.d/hosts").write_text("force-unsafe-io\n", encoding="ascii")
    (base / "etc/apt/sources.list").unlink(missing_ok=True)
    root = f"--root={base}"
    command(["systemctl", root, "--quiet", "enable", "ssh", "systemd-networkd"])
    command(["systemctl", root, "--quiet", "mask", *_MASKED])


def _archive() -> str:
    """The URI of the archive from which this machine's apt has the suite."""
    listed = command(
        ["apt-get", "indextargets", "--format", _SOURCE_FORMAT, "Created-By: Packages"]
    )
    for line in listed.splitlines():
        codename, label, component, uri = line.split(" ", 3)
        if (codename, label, component) == (SUITE, "Debian", "main"):
            return uri
    raise HostsError(f"apt has no source of Debian {SUITE}; is this Debian 12, after apt update?")


def _proxy() -> dict[str, str]:
    told = command(["apt-config", "shell", "proxy", "Acquire::http::Proxy"]).strip()
    value = told.partition("=")[2].strip("'")
    return {"http_proxy": value} if value else {}
