"""Builds the packages of earlier releases, each by its own tree.

In: a release, as `deploy.releases` lists it. Out: a .deb in the cache. Counterpart:
`deploy/package`, as it was in the release's commit. A first build may need the network.
"""

import shutil
from pathlib import Path
from typing import Final

import msgspec

from deploy import releases
from deploy.hosts.commands import command
from deploy.hosts.layout import CACHE_DIR, HostsError
from deploy.packaging.source import Project
from deploy.releases import Release

_ROOT: Final = Path(__file__).resolve().parents[2]
_BUILD_WITHIN_S: Final = 600.0


def latest() -> Release:
    """The release from which operators upgrade to this tree; raises `HostsError` if there is
    none."""
    try:
        return releases.before(Project.read(_ROOT).version)
    except (OSError, ValueError, IndexError, msgspec.ValidationError) as error:
        raise HostsError(f"deploy/releases.toml names no release: {error}") from error


def package_of(release: Release) -> Path:
    """The path of a release's package, which is built now if it is not in the cache."""
    kept = CACHE_DIR / "releases" / release.commit
    kept.mkdir(parents=True, exist_ok=True)
    for found in kept.glob("*.deb"):
        return found
    tree, out = kept / "tree", kept / "out"
    for scratch in (tree, out):
        shutil.rmtree(scratch, ignore_errors=True)
    # The clone may belong to another user than root, and git refuses such a tree by default.
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
