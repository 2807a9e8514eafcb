"""Makes the package: the tree's wheel, the environment, the files around it, the .deb.

In: the tree and a version. Out: the .deb. Counterparts: the file of each step beside this one.
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
    """What is to be made."""

    root: Path
    """The project's tree."""
    out: Path
    """The folder that the package is put into."""
    version: PackageVersion
    cache: Path
    """Where downloads are kept."""


def build(order: Order) -> Path:
    """Make the package, return its path; raises `PackagingError`."""
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
    """The project as a wheel."""
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", into], cwd=tree)
    (wheel,) = into.glob("*.whl")
    return wheel
