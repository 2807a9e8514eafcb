"""An operator who types what docs/ says gets what docs/ says: every console block on real hosts.

In: docs/install.md on two bare hosts; docs/rollout.md, operate.md and upgrade.md, one after the
other, on five. Out: a line for each command with the time that it took.
Counterparts: `doc_commands.py` reads and runs them; `deploy.hosts` has the hosts.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from deploy.docs.__main__ import ROOT
from deploy.hosts import Hosts
from deploy.hosts.layout import SSH_CONFIG
from tests.hosts.doc_commands import Command, Done, Session, commands_of, on_hosts, ssh_wrappers

DOCS = ROOT / "docs"
_VERSION = re.compile(r"sipfarm_([0-9.]+)_amd64\.deb")


def _commands(*documents: str) -> list[Command]:
    return [
        command
        for name in documents
        for command in commands_of((DOCS / name).read_text(encoding="utf-8"), name)
    ]


def _play(hosts: Hosts, directory: Path, documents: Sequence[str]) -> list[Done]:
    path = ssh_wrappers(directory / "bin", SSH_CONFIG)
    environment = {"PATH": f"{path}:/usr/bin:/bin", "HOME": str(directory)}
    done = []
    for each in Session(on_hosts(hosts, directory, environment)).run(_commands(*documents)):
        print(f"{each.command.where:18} {each.took_s:6.1f} s  {each.command.text.splitlines()[0]}")
        print(each.output)
        done.append(each)
    return done
