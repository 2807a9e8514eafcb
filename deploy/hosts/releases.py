"""Packages of earlier releases, each built by its own tree.

In: deploy/releases.toml, which names releases with their commits. Out: a .deb in the cache.
Counterpart: `deploy/package`, as it was in that commit. A first build may need the network.
"""

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.hosts.commands import command
from deploy.hosts.layout import CACHE_DIR, HostsError

_ROOT: Final = Path(__file__).resolve().parents[2]
_LIST: Final = _ROOT / "deploy/releases.toml"
_BUILD_WITHIN_S: Final = 600.0


@dataclass(frozen=True, kw_only=True)
class Release:
    """A version that was given to operators."""

    version: str
    commit: str


def latest() -> Release:
    """The release that an operator comes from; raises `HostsError` if there was none."""
    try:
        listed = tomllib.loads(_LIST.read_text(encoding="utf-8"))["release"]
        return Release(version=listed[-1]["version"], commit=listed[-1]["commit"])
    except (OSError, tomllib.TOMLDecodeError, KeyError, IndexError) as error:
        raise HostsError(f"{_LIST.relative_to(_ROOT)}: names no release: {error!r}") from error


def package_of(release: Release) -> Path:
    """The package of a release, built now if it is not in the cache."""
    kept = CACHE_DIR / "releases" / release.commit
    kept.mkdir(parents=True, exist_ok=True)
    for found in kept.glob("*.deb"):
        return found
    tree, out = kept / "tree", kept / "out"
    for scratch in (tree, out):
        shutil.rmtree(scratch, ignore_errors=True)
    # Whoever made the clone need not be root.
    git = ["git", "-c", f"safe.directory={_ROOT}", "-C", str(_ROOT)]
    archive = kept / "tree.tar"
    command([*git, "archive", "--format=tar", f"--output={archive}", release.commit])
    tree.mkdir()
    command(["tar", "--extract", f"--directory={tree}", f"--file={archive}"])
    options = ["--version", release.version, "--out", str(out)]
    command([str(tree / "deploy/package"), *options], timeout_s=_BUILD_WITHIN_S)
    (made,) = out.glob("*.deb")
    package = made.rename(kept / made.name)
    for scratch in (tree, out):
        shutil.rmtree(scratch)
    archive.unlink()
    return package
