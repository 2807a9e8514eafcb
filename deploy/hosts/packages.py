"""Fetches the packages that hosts install, and serves them from a directory on this machine.

In: names of Debian's packages. Out: these packages, those that a node of this tree needs, and all
their dependencies that the base system lacks; in the cache, and as a repository on the bridge.
Counterparts: apt of this machine, whose sources, proxy and lists are used; apt of the hosts.
"""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.hosts import base
from deploy.hosts.commands import command
from deploy.hosts.layout import CACHE_DIR, MACHINE, PACKAGES_PORT, REPOSITORY, HostsError
from deploy.packaging import control


def names_of(depends: str) -> list[str]:
    """The packages that a Depends field names, without versions; of alternatives the first."""
    each = (alternatives.partition("|")[0] for alternatives in depends.split(","))
    return [name.split()[0].partition(":")[0] for name in each if name.strip()]


SOURCES_LIST: Final = f"deb [trusted=yes] http://{MACHINE}:{PACKAGES_PORT} ./\n"
SERVER: Final = (
    *("/usr/bin/python3", "-m", "http.server", "--protocol", "HTTP/1.1"),
    *("--bind", MACHINE, "--directory", str(REPOSITORY), str(PACKAGES_PORT)),
)
NODE: Final = tuple(names_of(", ".join(control.DEPENDS)))
"""The packages that this tree's own package depends on."""
_CACHED: Final = CACHE_DIR / "packages"
_DOWNLOAD_WITHIN_S: Final = 600.0


def needed_by(package: Path) -> list[str]:
    """The packages that a .deb depends on."""
    return names_of(command(["dpkg-deb", "--field", str(package), "Depends"]))


def download(wanted: Sequence[str]) -> None:
    """Fetch those of the `wanted` packages, and of their dependencies, that the cache lacks."""
    with base.cache_lock():
        _CACHED.mkdir(exist_ok=True)
        _apt(wanted, "--download-only")


def fill_repository(wanted: Sequence[str]) -> None:
    """Make the repository from the cache; raises `HostsError` if the cache lacks a package."""
    REPOSITORY.mkdir(parents=True, exist_ok=True)
    for old in REPOSITORY.iterdir():
        old.unlink()
    # Each line of apt's answer is: 'URI' FILE SIZE DIGEST
    lines = [each.split() for each in _apt(wanted, "--print-uris").splitlines()]
    needed = [line[1] for line in lines if line and line[0].startswith("'http")]
    if missing := [name for name in needed if not (_CACHED / name).exists()]:
        raise HostsError(
            f"packages that are not in the cache: {' '.join(missing)}; fetch them with: "
            f"deploy/hosts/run prepare"
        )
    for name in needed:
        shutil.copyfile(_CACHED / name, REPOSITORY / name)
    index = command(["dpkg-scanpackages", "--multiversion", str(REPOSITORY)], timeout_s=120)
    (REPOSITORY / "Packages").write_text(
        index.replace(f"Filename: {REPOSITORY}/", "Filename: ./"), encoding="utf-8"
    )


def _apt(wanted: Sequence[str], action: str) -> str:
    """Run this machine's apt as if only the base system were installed; returns its stdout."""
    status = base.made() / "var/lib/dpkg/status"
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "partial").mkdir()
        # With this cache directory, apt does not list a package that is there as one to fetch.
        archives = str(_CACHED) if action == "--download-only" else scratch
        options = {
            "Dir::State::status": str(status),
            "Dir::State::extended_states": f"{scratch}/extended_states",
            "Dir::Cache::archives": archives,
            "Dir::Cache::pkgcache": f"{scratch}/pkgcache.bin",
            "Dir::Cache::srcpkgcache": f"{scratch}/srcpkgcache.bin",
            "Debug::NoLocking": "true",
            "APT::Keep-Downloaded-Packages": "true",
        }
        arguments = [each for name, value in options.items() for each in ("-o", f"{name}={value}")]
        verb = ["install", "--yes", "--no-install-recommends", action]
        return command(
            ["apt-get", *arguments, "--quiet", *verb, *NODE, *wanted], timeout_s=_DOWNLOAD_WITHIN_S
        )
