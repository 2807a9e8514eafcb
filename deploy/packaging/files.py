"""Adds the package's files besides its environment: commands, units, documents.

In: the tree. Out: files below the package's root. Counterparts: `deploy/systemd`, whose files are
installed as they are; `debian/`.
"""

import gzip
import shutil
import sysconfig
from pathlib import Path
from typing import Final

from deploy.packaging import bundle, environment, licences, sbom
from deploy.packaging.commands import run
from deploy.packaging.environment import HOME

_UNITS: Final = "lib/systemd/system"
_DOCUMENTS: Final = "usr/share/doc/sipfarm"


def add(package: Path, tree: Path, date: int) -> None:
    """Add all these files to the folder `package`, with this date (Unix time)."""
    for name in ("sipfarm", "sipfarm-overlay"):
        command = package / "usr/bin" / name
        command.parent.mkdir(parents=True, exist_ok=True)
        command.symlink_to(f"../{HOME.relative_to('/usr')}/bin/{name}")
    systemd = tree / "deploy/systemd"
    for unit in sorted((*systemd.glob("*.service"), *systemd.glob("*.target"))):
        _install(unit, package / _UNITS / unit.name)
    for kind in ("sysusers", "tmpfiles"):
        if (systemd / f"sipfarm.{kind}").exists():
            _install(systemd / f"sipfarm.{kind}", package / f"usr/lib/{kind}.d/sipfarm.conf")
    _install(
        tree / "deploy/packaging/debian/needrestart.conf",
        package / "etc/needrestart/conf.d/sipfarm.conf",
    )
    _document(package, tree, date)


def _document(package: Path, tree: Path, date: int) -> None:
    """Add man pages, completions, licences, the list of parts, and the documents for operators."""
    home = package / HOME.relative_to("/")
    run(
        [home / "bin/python3", "-m", "deploy.packaging.manual", package],
        cwd=tree,
        PYTHONPATH=sysconfig.get_path("purelib"),
        COLUMNS="78",
    )
    documents = package / _DOCUMENTS
    documents.mkdir(parents=True)
    bundled = bundle.read(environment.site_packages(home))
    licences.write(documents, bundled)
    (documents / "sbom.cdx.json").write_text(sbom.text(bundled, home, date))
    _install(tree / "deploy/packaging/debian/README.Debian", documents / "README.Debian")
    for page in sorted((tree / "docs").glob("*.md")):
        _install(page, documents / "docs" / page.name)
    if (tree / "CHANGELOG.md").exists():
        _compress((tree / "CHANGELOG.md").read_bytes(), documents / "changelog.gz")


def _install(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _compress(text: bytes, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(text, 9, mtime=0))
