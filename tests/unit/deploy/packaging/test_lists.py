"""The lists that package and installation are made from do not contradict each other."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.lab.services import EXECUTABLES
from deploy.packaging.control import DEPENDS

ROOT = Path(__file__).resolve().parents[4]
PACKAGING = ROOT / "deploy/packaging"
MODULES = "/usr/lib/x86_64-linux-gnu/kamailio/modules"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) \\$", re.MULTILINE)


def _pinned(lock: str) -> dict[str, str]:
    return {
        canonicalize_name(name): version
        for name, version in _PINNED.findall((PACKAGING / lock).read_text())
    }


def _listed(name: str) -> set[str]:
    return set((ROOT / "deploy/packages" / name).read_text().split())


def _wanted(lock: str) -> list[Requirement]:
    if lock == "tools.lock":
        return [
            Requirement(line) for line in (PACKAGING / "tools.in").read_text().split("\n") if line
        ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in project["dependencies"]]


@pytest.mark.parametrize("lock", ["requirements.lock", "tools.lock"])
def test_a_lock_has_what_is_asked_for_in_a_version_that_will_do(lock: str) -> None:
    """If not, run deploy/packaging/lock."""
    pinned = _pinned(lock)
    wrong = [
        str(each)
        for each in _wanted(lock)
        if pinned.get(canonicalize_name(each.name), "") not in each.specifier
    ]
    assert wrong == []


@pytest.mark.parametrize("lock", ["requirements.lock", "tools.lock"])
def test_every_line_of_a_lock_has_a_hash(lock: str) -> None:
    text = (PACKAGING / lock).read_text()
    entries = [each for each in re.split(r"^(?=\S)", text, flags=re.MULTILINE) if each]
    assert [each for each in entries if "--hash=sha256:" not in each] == []
    assert len(entries) == len(_pinned(lock))


def test_every_module_that_kamailio_loads_comes_with_a_dependency() -> None:
    modules = re.findall(r'loadmodule "(\w+)\.so"', (ROOT / "proxy/kamailio.cfg.j2").read_text())
    assert len(modules) > 20
    told = subprocess.run(
        ["dpkg-query", "--search", *(f"{MODULES}/{name}.so" for name in modules)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    owners = {line.split(":")[0] for line in told.splitlines()}
    assert owners <= {each.split()[0] for each in DEPENDS}


def test_a_node_gets_the_services_that_the_demo_gets() -> None:
    needed = {each.split()[0] for each in DEPENDS}
    services = {name for name in needed if name.startswith(("kamailio", "redis", "pdns"))}
    assert services <= _listed("demo")


def test_the_demo_has_every_program_of_the_lab() -> None:
    """Each comes with a package of the demo's list, or with every Debian."""
    places = [f"{folder}/{name}" for name in EXECUTABLES for folder in ("/usr/bin", "/usr/sbin")]
    places += [place.removeprefix("/usr") for place in places]
    told = subprocess.run(
        ["dpkg-query", "--search", *places], capture_output=True, text=True, check=False
    ).stdout
    owner = {
        line.split(": ")[1].rsplit("/", 1)[1]: line.split(":")[0] for line in told.splitlines()
    }
    assert set(owner) == set(EXECUTABLES)
    assert set(owner.values()) <= _listed("demo")


def test_no_list_repeats_another() -> None:
    assert not _listed("demo") & _listed("tests")
