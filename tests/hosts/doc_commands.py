"""Reads the commands that the documents give to an operator, and runs them as they stand there.

In: Markdown. Out: the commands of its ```console blocks in order; the output of each, and how long
it took. Counterparts: docs/*.md; `deploy.hosts`, which runs commands on hosts.

    op# sipfarm ca token --ca /var/lib/sipfarm-authority/ca       # prints TOKEN
    n1# sipfarm node join --token "$TOKEN"

The prompt names the host: `op#`, `n1#`; `admin$` is the machine with Ansible. A line without a
prompt is output, unless the line before ends with a backslash or begins a here-document. The last
line of output of a command that ends with `# prints NAME` is $NAME in all commands after it.
"""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

ADMIN: Final = "admin"
RUN_WITHIN_S: Final = 600.0
_BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PROMPT: Final = re.compile(r"(op|n[0-9]+)# (.+)|(admin)\$ (.+)")
_LOOKS_LIKE_A_PROMPT: Final = re.compile(r"[A-Za-z0-9@:~-]*[#$] ")
_PRINTS: Final = re.compile(r"\s+# prints ([A-Z][A-Z0-9_]*)$")
_REBOOT: Final = "systemctl reboot"
_HERE_DOCUMENT: Final = re.compile(r"<<'(\w+)'")


class DocumentError(ValueError):
    """A block that nobody could run as it stands; the text says where."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of a document."""

    where: str
    """Document and line, for people."""
    section: str
    """The heading that it stands below."""
    host: str
    """`op`, `n1`, …, or `admin`."""
    text: str
    """For a shell."""
    prints: str = ""
    """The variable that the last line of its output is the value of."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A command that came to its end with success."""

    command: Command
    output: str
    took_s: float


class Runner(Protocol):
    """Runs a shell's command line on a host."""

    def __call__(
        self, host: str, text: str, within_s: float
    ) -> "subprocess.CompletedProcess[str]": ...


def commands_of(text: str, document: str) -> list[Command]:
    """The commands of all console blocks in a document's text; raises `DocumentError`."""
    found: list[Command] = []
    for block in _BLOCK.finditer(text):
        first_line = text.count("\n", 0, block.start(1)) + 1
        section = [heading[1] for heading in _HEADING.finditer(text, 0, block.start())][-1:]
        commands = list(_commands(block[1].splitlines(), document, "".join(section), first_line))
        if not commands:
            raise DocumentError(f"{document}:{first_line}: a console block without a command")
        found += commands
    return found


def _commands(
    lines: Sequence[str], document: str, section: str, first_line: int
) -> Iterator[Command]:
    numbered = iter(enumerate(lines, start=first_line))
    for number, line in numbered:
        where = f"{document}:{number}"
        prompt = _PROMPT.fullmatch(line)
        if prompt is None:
            if _LOOKS_LIKE_A_PROMPT.match(line):
                raise DocumentError(f"{where}: no host has this prompt: {line}")
            continue
        host, text = (part for part in prompt.groups() if part is not None)
        prints = _PRINTS.search(text)
        parts = [_PRINTS.sub("", text)]
        here = _HERE_DOCUMENT.search(text)
        while (here and parts[-1] != here[1]) or (not here and parts[-1].endswith("\\")):
            try:
                parts.append(next(numbered)[1])
            except StopIteration:
                raise DocumentError(f"{where}: the command has no end") from None
        yield Command(
            where=where,
            section=section,
            host=host,
            text="\n".join(parts),
            prints=prints[1] if prints else "",
        )


@dataclass
class Session:
    """Runs commands one after the other, as a reader would who goes through a document."""

    run_one: Runner
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, commands: Sequence[Command]) -> Iterator[Done]:
        """Each in turn; raises `AssertionError` at the first that fails, with all it said."""
        for command in commands:
            began_s = time.monotonic()
            text = "\n".join([*self._assignments(command.text), command.text])
            done = self.run_one(command.host, text, RUN_WITHIN_S)
            said = f"{done.stdout}{done.stderr}"
            assert done.returncode == 0, (
                f"{command.where}: {command.host}: {command.text}\n"
                f"exit status {done.returncode}\n{said}"
            )
            if command.prints:
                lines = done.stdout.split("\n")
                printed = [line for line in lines if line.strip()]
                assert printed, f"{command.where}: printed nothing"
                self.variables[command.prints] = printed[-1]
            yield Done(command=command, output=said, took_s=time.monotonic() - began_s)

    def _assignments(self, text: str) -> Iterator[str]:
        for name, value in self.variables.items():
            if f"${name}" in text:
                yield f"{name}={shlex.quote(value)}"


class HostCommands(Protocol):
    """What is used of `deploy.hosts.Hosts`."""

    def ssh(
        self,
        name: str,
        argv: Sequence[str] | str,
        *,
        timeout_s: float = ...,
        given: str = ...,
        check: bool = ...,
    ) -> "subprocess.CompletedProcess[str]": ...

    def reboot(self, name: str) -> float: ...


def on_hosts(hosts: HostCommands, directory: Path, environment: Mapping[str, str]) -> Runner:
    """Runs what is for `admin` on this machine in a directory, all else on the test hosts."""

    def run_one(host: str, text: str, within_s: float) -> "subprocess.CompletedProcess[str]":
        if host != ADMIN and text == _REBOOT:
            # The connection ends before the command does; a reader waits until the host is back.
            took_s = hosts.reboot(host)
            return subprocess.CompletedProcess(text, 0, f"back after {took_s:.1f} s\n", "")
        if host != ADMIN:
            # A reader sits at a terminal in root's home; `ssh` alone would give no login shell.
            return hosts.ssh(host, f"cd\n{text}", timeout_s=within_s, check=False)
        return subprocess.run(
            ["bash", "-c", text],
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=within_s,
            check=False,
        )

    return run_one


def ssh_wrappers(directory: Path, config: Path) -> Path:
    """A directory for PATH with `ssh` and `scp` that know the test hosts, as an operator's own
    configuration would."""
    directory.mkdir(parents=True, exist_ok=True)
    for program in ("ssh", "scp"):
        path = directory / program
        path.write_text(f'#!/bin/sh\nexec /usr/bin/{program} -F {config} "$@"\n', encoding="ascii")
        path.chmod(0o755)
    return directory
