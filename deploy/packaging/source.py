"""Copies the tree that a package is made from, and finds the package's date.

In: the project's folder: a clone, a worktree, or an unpacked archive without any .git. Out: a copy
of its files with the version set, and the date that the package bears. Counterpart: `build.py`.
"""

import os
import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.packaging.commands import run
from deploy.packaging.errors import PackagingError
from deploy.packaging.version import PackageVersion

_NOT_SOURCE: Final = {"dist", "node_modules", "__pycache__"}
_VERSION_LINE: Final = re.compile(r'^version = "[^"]*"$', re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Project:
    """The description of the project in its pyproject.toml."""

    version: str
    description: str
    homepage: str
    """The address of the project's home page; empty if it has none."""

    @classmethod
    def read(cls, root: Path) -> "Project":
        """The description of the tree in `root`; raises `PackagingError`."""
        try:
            text = (root / "pyproject.toml").read_text()
            said: dict[str, Any] = tomllib.loads(text)["project"]
            return cls(
                version=said["version"],
                description=said["description"],
                homepage=said.get("urls", {}).get("Homepage", ""),
            )
        except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
            raise PackagingError(f"{root}/pyproject.toml: {error}") from error


def date_of(root: Path) -> int:
    """The Unix time that all files of the package bear: $SOURCE_DATE_EPOCH, else the time of the
    last commit, else the time of the files that every release changes."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        if not given.isdecimal():
            raise PackagingError(f"SOURCE_DATE_EPOCH={given}: must be a number of seconds")
        return int(given)
    if _is_repository(root):
        return int(_git(root, "log", "-1", "--format=%ct"))
    dated = (root / name for name in ("pyproject.toml", "CHANGELOG.md"))
    return max(int(path.stat().st_mtime) for path in dated if path.exists())


def copy(root: Path, into: Path, version: PackageVersion) -> None:
    """Copy the tree's files to `into`, and write `version` into the copy's pyproject.toml."""
    for name in _files(root):
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target, follow_symlinks=False)
    project = into / "pyproject.toml"
    text, count = _VERSION_LINE.subn(f'version = "{version.python}"', project.read_text())
    if count != 1:
        raise PackagingError('pyproject.toml: there must be one line: version = "..."')
    project.write_text(text)


def _files(root: Path) -> list[str]:
    if _is_repository(root):
        listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        return sorted({name for name in listed.split("\0") if name and (root / name).is_file()})
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [each for each in subfolders if each not in _NOT_SOURCE and each[0] != "."]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(found)


def _is_repository(root: Path) -> bool:
    """Whether this very folder is a git tree, and not only a folder inside of one."""
    return (root / ".git").exists() and shutil.which("git") is not None


def _git(root: Path, *arguments: str) -> str:
    # Under sudo, the tree may belong to another user; git refuses such a tree unless it is named
    # as safe.
    return run(["git", "-c", f"safe.directory={root}", "-C", root, *arguments])
