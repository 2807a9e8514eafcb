"""Every console block of docs/ does on real hosts what the document says.

In: install.md on the operator's host and one node; then rollout.md, which makes a farm of these and
of bare hosts; then the documents for a running farm. Out: a line for each command, with the time it
took. Counterparts: `doc_commands.py`, which reads and runs them; `deploy.hosts`, which has the
hosts.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from deploy.docs.__main__ import ROOT
from deploy.hosts import Hosts, packages
from deploy.hosts.layout import DATA_DIR, SSH_CONFIG
from tests.hosts.doc_commands import Command, Session, commands_of, on_hosts, ssh_wrappers

pytestmark = pytest.mark.timeout(1800)
_DOCS: Final = {path.name: path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")}
_INSTALL, _ROLLOUT, _OPERATE, _UPGRADE = "install.md", "rollout.md", "operate.md", "upgrade.md"
_COMMANDS_BY_HAND_MAX: Final = 10
_PACKAGE: Final = re.compile(r"dist/sipfarm_([0-9.]+)_amd64\.deb")
_BUILD_WITHIN_S: Final = 200.0


@dataclass
class Reader:
    """Somebody who reads the documents and types what they say."""

    session: Session
    version: str
    """Of the package that the documents begin with."""

    def type_all(self, document: str) -> None:
        """Every command of a document, to its end."""
        for done in self.session.run(commands_of(_DOCS[document], document)):
            first_line = done.command.text.splitlines()[0]
            print(
                f"{done.took_s:6.1f} s  {done.command.where:16} {done.command.host}: {first_line}"
            )
            print(done.output)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """With a checkout, the packages that the documents name, and bare hosts."""
    versions = list(dict.fromkeys(_PACKAGE.findall("".join(_DOCS.values()))))
    with Hosts.up(("op", "n1", "n2", "n3", "n4")) as hosts:
        home = DATA_DIR / "admin"
        home.mkdir()
        (home / "ansible").symlink_to(ROOT / "ansible")
        made = [_build(version, home / "dist") for version in versions]
        packages.fill_repository(packages.needed_by(made[0]))
        path = ssh_wrappers(home / "bin", SSH_CONFIG)
        environment = {"HOME": str(home), "PATH": f"{path}:/usr/bin:/usr/sbin:/bin"}
        yield Reader(Session(on_hosts(hosts, home, environment)), versions[0])


def test_no_block_is_left_out() -> None:
    with_blocks = {name for name, text in _DOCS.items() if commands_of(text, name)}
    assert with_blocks == {_INSTALL, _ROLLOUT, _OPERATE, _UPGRADE}


def test_a_first_node_by_hand_takes_at_most_ten_commands(reader: Reader) -> None:
    assert len(list(_on_hosts(_INSTALL))) <= _COMMANDS_BY_HAND_MAX
    reader.type_all(_INSTALL)


def test_a_farm_by_ansible(reader: Reader) -> None:
    reader.type_all(_ROLLOUT)


def test_what_an_operator_does_with_a_farm(reader: Reader) -> None:
    reader.type_all(_OPERATE)


def test_maintenance(reader: Reader) -> None:
    reader.type_all(_UPGRADE)


def _on_hosts(document: str) -> Iterator[Command]:
    return (each for each in commands_of(_DOCS[document], document) if each.host != "admin")


def _build(version: str, into: Path) -> Path:
    argv = ["deploy/package", "--version", version, "--out", str(into)]
    done = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=_BUILD_WITHIN_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return into / f"sipfarm_{version}_amd64.deb"
