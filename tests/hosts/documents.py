"""Types the commands of docs/, section by section, on the test hosts, as an operator would.

In: a document, one of its headings, packages. Out: the output of each command; the commands that
were not typed yet. Counterparts: docs/*.md; `doc_commands.py`, which reads and runs them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from deploy.docs.__main__ import ROOT
from deploy.hosts import Hosts
from deploy.hosts.layout import DATA_DIR, SSH_CONFIG
from tests.hosts.doc_commands import Command, Done, Session, commands_of, on_hosts, ssh_wrappers
from tests.hosts.playbooks import DEBIANS

INSTALL: Final = "install.md"
ROLLOUT: Final = "rollout.md"
OPERATE: Final = "operate.md"
UPGRADE: Final = "upgrade.md"
_TEXTS: Final = {path.name: path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")}
COMMANDS: Final = {name: commands_of(text, name) for name, text in _TEXTS.items()}
"""All of each document, in order."""
VERSIONS: Final = sorted(
    set(re.findall(r"dist/sipfarm_([0-9.]+)_amd64\.deb", "".join(_TEXTS.values()))),
    key=lambda version: [int(part) for part in version.split(".")],
)
"""Of the packages that the documents name: the one that a farm begins with, and the next."""
_VERSION: Final = re.compile(
    "|".join(rf"(?<![0-9.]){re.escape(each)}(?!\.?[0-9])" for each in VERSIONS)
)


@dataclass
class Reader:
    """Somebody with a checkout and packages, and hosts that answer ssh."""

    session: Session
    home: Path
    """What commands of `admin` run in."""
    typed: set[str] = field(default_factory=set)
    """Where the commands stand that were typed."""

    @classmethod
    def at(cls, hosts: Hosts, packages: Sequence[Path]) -> "Reader":
        """Beside these hosts, with these packages in dist/, and with Debian's Ansible."""
        home = DATA_DIR / "admin"
        (home / "dist").mkdir(parents=True)
        for package in packages:
            (home / "dist" / package.name).symlink_to(package)
        (home / "ansible").symlink_to(ROOT / "ansible")
        ssh_wrappers(home / "bin", SSH_CONFIG)
        reader = cls(Session(on_hosts(hosts, home, environment(home))), home)
        reader.use_ansible(DEBIANS)
        return reader

    def use_ansible(self, program: Path) -> None:
        """Another `ansible-playbook` from now on."""
        link = self.home / "bin" / program.name
        link.unlink(missing_ok=True)
        link.symlink_to(program)

    def type(self, document: str, *sections: str, packages: Sequence[Path]) -> list[Done]:
        """All commands of a document's sections, or of all of it; raises `AssertionError` at the
        first that fails.

        The packages stand for those that the documents name, in the order of `VERSIONS`.
        """
        commands = [each for each in COMMANDS[document] if each.section in sections or not sections]
        without = set(sections) - {each.section for each in commands}
        assert not without, f"{document}: no commands below {without}"
        told = []
        for done in self.session.run([with_packages(each, packages) for each in commands]):
            print(f"{done.took_s:6.1f} s  {done.command.where:16} {done.command.host}: ", end="")
            print(done.command.text.splitlines()[0])
            self.typed.add(done.command.where)
            told.append(done)
        return told


def environment(home: Path) -> dict[str, str]:
    """What is different for somebody whose home this is."""
    return {"HOME": str(home), "PATH": f"{home}/bin:/usr/bin:/usr/sbin:/bin"}


def with_packages(command: Command, packages: Sequence[Path]) -> Command:
    """The command with the versions of these packages in the place of `VERSIONS`."""
    versions = {
        named: version_of(package) for named, package in zip(VERSIONS, packages, strict=False)
    }
    return replace(command, text=_VERSION.sub(lambda found: versions[found[0]], command.text))


def version_of(package: Path) -> str:
    """As its file is named."""
    return package.name.split("_")[1]
