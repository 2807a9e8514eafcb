"""Makes the package in four steps: the tree's wheel, the environment, other files, the .deb.

In: the tree and a version. Out: the .deb. Counterparts: the modules beside this one, one a step.
"""

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.packaging import archive, control, environment, files, source
from deploy.packaging.commands import run
from deploy.packaging.source import Project
from deploy.packaging.version import PackageVersion


@dataclass(frozen=True, kw_only=True)
class Order:
    """What `build` must make, and where."""

    root: Path
    """The folder of the project's tree."""
    out: Path
    """The folder that gets the package."""
    version: PackageVersion
    cache: Path
    """The folder that keeps downloads for further builds."""


def build(order: Order) -> Path:
    """Make the package; returns its path. Raises `PackagingError`."""
    date = source.date_of(order.root)
    os.environ["SOURCE_DATE_EPOCH"] = str(date)
    architecture = run(["dpkg", "--print-architecture"]).strip()
    with tempfile.TemporaryDirectory(prefix="sipfarm-package.") as scratch:
        tree, package = Path(scratch) / "tree", Path(scratch) / "package"
        source.copy(order.root, tree, order.version)
        wheel = _wheel(tree, Path(scratch) / "wheel")
        home = package / environment.HOME.relative_to("/")
        environment.make(home, wheel, tree / "deploy/packaging/requirements.lock", order.cache)
        files.add(package, tree, date)
        control.write(package, tree, Project.read(tree), order.version, architecture)
        made = archive.pack(package, Path(scratch), date)
        order.out.mkdir(parents=True, exist_ok=True)
        target = order.out / f"sipfarm_{order.version.debian}_{architecture}.deb"
        shutil.copyfile(made, target.with_suffix(".part"))
        target.with_suffix(".part").replace(target)
    return target


def _wheel(tree: Path, into: Path) -> Path:
    """Make the project's wheel; returns its path."""
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", into], cwd=tree)
    (wheel,) = into.glob("*.whl")
    return wheel
