"""The Debian system that every host begins with: made once, and kept.

In: the archive and the proxy that apt uses on this machine. Out: a directory in the cache; its
name says what this file was when it was made. Counterpart: debootstrap. Needs the network, so it
is made before a run that has none (`deploy/hosts/run prepare`).
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
"""What a server has that somebody can reach by ssh, and what Ansible needs of one."""
_MASKED: Final = (
    *("systemd-resolved.service", "console-getty.service", "getty@.service"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer"),
)
_MAKE_WITHIN_S: Final = 900.0
_UNUSED_S: Final = 30 * 86_400.0
"""A base system that nobody has used for so long is removed when another one is made."""
_SOURCE_FORMAT: Final = "$(CODENAME) $(LABEL) $(COMPONENT) $(REPO_URI)"


def made() -> Path:
    """The base system; raises `HostsError` if nobody has made it yet."""
    base = _directory()
    if not base.is_dir():
        raise HostsError("there is no base system yet; make it with: deploy/hosts/run prepare")
    os.utime(base)
    return base


def make() -> Path:
    """The base system, made now if it is not there."""
    base = _directory()
    with cache_lock():
        if base.is_dir():
            return base
        for other in base.parent.glob("base-*"):
            # Another clone of the project may have hosts that run on it.
            if time.time() - other.stat().st_mtime > _UNUSED_S:
                shutil.rmtree(other)
        scratch = base.with_name(f"{base.name}.making")
        _debootstrap(scratch)
        _adapt(scratch)
        scratch.rename(base)
    return base


@contextlib.contextmanager
def cache_lock() -> Iterator[None]:
    """One process at a time adds to the cache."""
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
    # In namespaces of its own: should it be killed, what it mounted in the target goes with it.
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
    """What differs between hosts is taken out, and what waits for something that is not here."""
    (base / "etc/machine-id").write_bytes(b"")
    for key in (base / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    # A host's one key is made before it boots, so that its caller knows it.
    (base / "etc/ssh/sshd_config.d/hosts.conf").write_text(
        "HostKey /etc/ssh/ssh_host_ed25519_key\nUseDNS no\n", encoding="ascii"
    )
    (base / "etc/hostname").unlink(missing_ok=True)
    # A name server that does not answer would cost whoever asks for a name ten seconds.
    (base / "etc/resolv.conf").write_bytes(b"")
    # What was fetched is in the cache, and the archive cannot be reached from a host.
    shutil.rmtree(base / "var/cache/apt/archives")
    # What dpkg has written need not outlive this machine.
    (base / "etc/dpkg/dpkg.cfg.d/hosts").write_text("force-unsafe-io\n", encoding="ascii")
    (base / "etc/apt/sources.list").unlink(missing_ok=True)
    root = f"--root={base}"
    command(["systemctl", root, "--quiet", "enable", "ssh", "systemd-networkd"])
    command(["systemctl", root, "--quiet", "mask", *_MASKED])


def _archive() -> str:
    """Where apt has this suite from."""
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
