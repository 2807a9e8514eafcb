"""Fixtures: the package, built twice at the same time: from this tree, and from a copy of it
elsewhere.

The copy is no git repository, as an unpacked archive of a release is none. `deploy/install tests`
has fetched what a build needs; here there may be no network.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.packaging import source
from deploy.packaging.version import PackageVersion

from .machine import Machine, machine

ROOT = Path(__file__).resolve().parents[2]
VERSION = PackageVersion.parse("9.8.7~rc6")
DATE = 1_700_000_000


@dataclass(frozen=True, kw_only=True)
class Built:
    """What the builds left."""

    here: Path
    elsewhere: Path
    places: tuple[str, ...]
    """The folders that something was made in."""
    files: Path
    """The package's files, unpacked."""
    control: dict[str, str]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Both packages, of version `VERSION` and date `DATE`."""
    scratch = tmp_path_factory.mktemp("package")
    copy, temporary = scratch / "copy", scratch / "temporary"
    source.copy(ROOT, copy, VERSION)
    temporary.mkdir()
    builds = [
        subprocess.Popen(
            [tree / "deploy/package", "--version", VERSION.debian, "--out", scratch / name],
            env={**os.environ, "SOURCE_DATE_EPOCH": str(DATE), "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for tree, name in ((ROOT, "here"), (copy, "elsewhere"))
    ]
    # Each prints the path of what it made.
    here, elsewhere = (Path(build.communicate()[0].strip()) for build in builds)
    assert [build.returncode for build in builds] == [0, 0]
    files = scratch / "files"
    subprocess.run(["dpkg-deb", "--extract", here, files], check=True)
    told = subprocess.run(
        ["dpkg-deb", "--field", here], capture_output=True, text=True, check=True
    ).stdout
    lines = (line for line in told.splitlines() if line[0] != " ")
    control = dict(line.split(": ", 1) for line in lines)
    places = (str(ROOT), str(scratch), str(Path(sys.prefix).parent))
    return Built(here=here, elsewhere=elsewhere, places=places, files=files, control=control)


@pytest.fixture(scope="session")
def host(built: Built) -> Iterator[Machine]:
    """A machine that has the package; its man pages are nobody's business while dpkg works."""
    with machine() as made:
        made.path("/var/lib/man-db/auto-update").unlink(missing_ok=True)
        made.install(built.here)
        yield made
