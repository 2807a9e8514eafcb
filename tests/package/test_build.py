"""The package depends on the tree alone: same bytes, no trace of the machine, clear refusals."""

import hashlib
import subprocess
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from deploy.packaging.environment import site_packages

from .conftest import DATE, ROOT, VERSION, Built


def test_two_trees_make_the_same_bytes(built: Built) -> None:
    digests = [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (built.here, built.elsewhere)
    ]
    assert digests[0] == digests[1]
    assert built.here.name == f"sipfarm_{VERSION.debian}_amd64.deb"


def test_no_file_tells_where_it_was_made(built: Built) -> None:
    telling = [
        str(path)
        for path in built.files.rglob("*")
        if path.is_file() and not path.is_symlink()
        for place in built.places
        if place.encode() in path.read_bytes()
    ]
    assert telling == []


def test_every_file_bears_the_given_date_and_is_roots(built: Built) -> None:
    listed = subprocess.run(
        ["dpkg-deb", "--contents", built.here],
        capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
    ).stdout.splitlines()  # fmt: skip
    assert {" ".join(line.split()[3:5]) for line in listed} == {"2023-11-14 22:13"}
    assert DATE == 1_700_000_000
    assert {line.split()[1] for line in listed} == {"root/root"}
    modes = {line.split()[0] for line in listed}
    assert modes == {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx"}


def test_every_module_is_compiled_and_taken_without_a_look(built: Built) -> None:
    packages = site_packages(built.files / "usr/lib/sipfarm")
    sources = {path for path in packages.rglob("*.py") if path.stem.isidentifier()}
    compiled = {
        path: path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc" for path in sources
    }
    assert [path for path, into in compiled.items() if not into.exists()] == []
    # PEP 552: the magic number, then flags: has a hash (1), which is not compared (not 2).
    expected = MAGIC_NUMBER + (1).to_bytes(4, "little")
    heads = {into.read_bytes()[:8] for into in compiled.values()}
    assert heads == {expected}


def test_what_a_node_does_not_run_is_not_there(built: Built) -> None:
    packages = site_packages(built.files / "usr/lib/sipfarm")
    there = {path.name for path in packages.iterdir()}
    assert {"overlay", "proxy", "redis"} <= there
    assert not there & {"pip", "setuptools", "wheel", "deploy", "tests", "pytest", "mypy"}
    assert [path for path in packages.rglob("*") if path.name in ("RECORD", "tests")] == []


def test_what_dpkg_is_told(built: Built) -> None:
    control = built.control
    assert (control["Package"], control["Version"]) == ("sipfarm", VERSION.debian)
    assert (control["Section"], control["Architecture"]) == ("net", "amd64")
    for needed in (
        "kamailio-python3-modules", "redis-server", "pdns-backend-remote", "chrony | time-daemon",
        "python3 (>= 3.11)", "python3 (<< 3.12)", "libpython3.11",
    ):  # fmt: skip
        assert needed in control["Depends"]
    used_kib = (
        sum(path.stat().st_size for path in built.files.rglob("*") if not path.is_symlink()) // 1024
    )
    assert used_kib * 0.9 < int(control["Installed-Size"]) < used_kib * 1.2 + 4_000


def test_checksums_name_every_file(built: Built, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "--control", built.here, tmp_path / "control"], check=True)
    subprocess.run(
        ["md5sum", "--quiet", "--strict", "--check", tmp_path / "control/md5sums"],
        cwd=built.files, check=True,
    )  # fmt: skip
    named = len((tmp_path / "control/md5sums").read_text().splitlines())
    there = [path for path in built.files.rglob("*") if path.is_file() and not path.is_symlink()]
    assert named == len(there)
    assert (tmp_path / "control/conffiles").read_text() == "/etc/needrestart/conf.d/sipfarm.conf\n"
    for script in ("preinst", "postinst", "prerm", "postrm"):
        subprocess.run(["sh", "-n", tmp_path / "control" / script], check=True)


def test_units_and_users_are_those_of_the_tree(built: Built) -> None:
    for folder, pattern, target in (
        ("deploy/systemd", "*.service", "lib/systemd/system/{}"),
        ("deploy/systemd", "*.target", "lib/systemd/system/{}"),
        ("deploy/systemd", "sipfarm.sysusers", "usr/lib/sysusers.d/sipfarm.conf"),
        ("deploy/systemd", "sipfarm.tmpfiles", "usr/lib/tmpfiles.d/sipfarm.conf"),
    ):
        found = list((ROOT / folder).glob(pattern))
        assert found
        for path in found:
            packed = built.files / target.format(path.name)
            assert packed.read_text() == path.read_text()


@pytest.mark.parametrize("version", ["", "x", "1.0-2", "1:1.0", "0.2.0~~"])
def test_a_version_that_is_none_is_refused_at_once(version: str) -> None:
    done = subprocess.run(
        [ROOT / "deploy/package", f"--version={version}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "version" in done.stderr
