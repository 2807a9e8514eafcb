"""Lists the releases of the project, each with its commit, as a clone may have no tags.

In: `deploy/releases.toml`. Out: releases, oldest first. Counterparts: `CHANGELOG.md`, which says
what each release brought; the tests of upgrades, which build the last release from its commit.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Final

import msgspec

FILE: Final = Path(__file__).resolve().parent / "releases.toml"


class Release(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version that operators may run."""

    version: Annotated[str, msgspec.Meta(pattern=r"^\d+\.\d+\.\d+$")]
    commit: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}$")]
    """The release's package is built from this commit, by the commit's own `deploy/package`."""


def before(version: str, path: Path = FILE) -> Release:
    """The last release before `version`: operators upgrade from it. Raises `IndexError` if there
    is none."""
    return [each for each in load(path) if _order(each.version) < _order(version)][-1]


def _order(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    release: tuple[Release, ...]


def load(path: Path = FILE) -> tuple[Release, ...]:
    """Every release, oldest first; raises `msgspec.ValidationError` if the file is malformed."""
    found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).release
    versions = [_order(each.version) for each in found]
    if versions != sorted(set(versions)):
        raise msgspec.ValidationError(f"{path}: versions do not rise: {versions}")
    return found
