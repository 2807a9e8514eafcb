"""Fixtures: bare hosts, and the farm that the tests make of them, one after another.

The tests are steps of one story. Each goes on from the end of the one before, so none is tried a
second time. When a test that changes something fails, the tests after it fail as well, and say so.
Only root can make hosts: without it these tests fail; they are not skipped.
"""

import subprocess
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.hosts import Hosts, HostsError, packages, releases
from deploy.packaging.source import Project
from tests.hosts import inventory
from tests.hosts.broken import break_daemon
from tests.hosts.documents import Reader
from tests.hosts.farm import HostsFarm, Line
from tests.hosts.inventory import NODES, OPERATOR

STORY: Final = (
    "test_machine.py",
    "test_by_hand.py",
    "test_bad_input.py",
    "test_site.py",
    "test_broken_build.py",
    "test_upgrade.py",
    "test_operate.py",
    "test_exposure.py",
    "test_join.py",
    "test_remove.py",
    "test_certificates.py",
    "test_reboot.py",
    "test_downgrade.py",
    "test_docs.py",
)
"""The order of the files."""
_ONLY_LOOK: Final = ("test_bad_input.py", "test_exposure.py", "test_docs.py")
"""What fails there is no reason to go no further: nothing was to be changed."""
_ROOT: Final = Path(__file__).resolve().parents[2]
_BUILD_WITHIN_S: Final = 200.0
_STEP_WITHIN_S: Final = 1200
_failed_step = ""
_lines: list[Line] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The story in its order, after everything else; no step twice."""
    here = [item for item in items if item.path.parent == Path(__file__).parent]
    others = [item for item in items if item not in here]
    here.sort(key=lambda item: STORY.index(item.path.name))
    for item in here:
        item.add_marker(pytest.mark.flaky(reruns=0))
        # Ansible's share of a busy machine may be small.
        item.add_marker(pytest.mark.timeout(_STEP_WITHIN_S))
    items[:] = [*others, *here]


@dataclass(frozen=True, kw_only=True)
class Packages:
    """What hosts are to have."""

    old: Path
    """The last release."""
    new: Path
    """This tree."""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """The package of this tree, made now, and that of the last release."""
    new = _build(Project.read(_ROOT).version, tmp_path_factory.mktemp("built"))
    return Packages(old=releases.package_of(releases.latest()), new=new)


@pytest.fixture(scope="session")
def farm(built: Packages) -> Iterator[HostsFarm]:
    """The operator's host and three more, and packages; in the beginning no farm."""
    with Hosts.up((OPERATOR, *NODES), wanted=packages.needed_by(built.old)) as hosts:
        inventory.make_certificate()
        broken = break_daemon(built.new, built.new.parent)
        reader = Reader.at(hosts, (built.old, built.new))
        inventory.add_settings(reader.home)
        yield HostsFarm(
            hosts=hosts,
            reader=reader,
            old=built.old,
            new=built.new,
            broken=broken,
            lines=_lines,
        )


def _build(version: str, into: Path) -> Path:
    argv = ["deploy/package", "--version", version, "--out", str(into)]
    done = subprocess.run(
        argv, cwd=_ROOT, capture_output=True, text=True, timeout=_BUILD_WITHIN_S, check=False
    )
    assert done.returncode == 0, done.stderr
    (made,) = into.glob("*.deb")
    return made


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Go no further in a story that has failed."""
    if item.path.parent == Path(__file__).parent and _failed_step and _is_step(item):
        pytest.fail(f"an earlier step failed: {_failed_step}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure goes what the nodes said last."""
    global _failed_step
    report = yield
    if report.failed and _is_step(item) and not _failed_step:
        if item.path.name not in _ONLY_LOOK:
            _failed_step = item.nodeid
        arguments: dict[str, Any] = getattr(item, "funcargs", {})
        if "farm" in arguments:
            report.sections += _journals(arguments["farm"].hosts)
    return report


def _journals(hosts: Hosts) -> list[tuple[str, str]]:
    said = []
    for name in hosts.names:
        try:
            said.append((f"journal of {name}", hosts.journal(name)))
        except HostsError as error:
            said.append((f"journal of {name}", str(error)))
    return said


def _is_step(item: pytest.Item) -> bool:
    return "farm" in getattr(item, "fixturenames", ())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each playbook took and changed, and what the phones met meanwhile."""
    if not _lines:
        return
    terminalreporter.section("playbooks and faults on hosts")
    row = "{:34} {:>8} {:>8}  {:36} {:>6}"
    terminalreporter.write_line(row.format("", "seconds", "changed", "requests", "failed"))
    for line in _lines:
        terminalreporter.write_line(
            row.format(
                line.what,
                f"{line.took_s:.1f}",
                line.changed,
                line.requests,
                line.failed if line.asked else "",
            )
        )
