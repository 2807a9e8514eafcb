"""A copy of this machine, as a package finds it, which ends with the test.

In: a .deb. Out: what dpkg and the installed commands print and leave. The copy is an overlay file
system on this machine's own, in memory. Its services do not run.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

_DPKG = ("dpkg", "--force-depends", "--force-unsafe-io", "--no-triggers")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A Debian host whose files may be changed at will."""

    root: Path

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command there, whatever its exit code."""
        return subprocess.run(
            ["chroot", self.root, *command], capture_output=True, text=True, check=False
        )

    def told(self, *command: str | Path) -> str:
        """What a command there prints; it has to succeed."""
        done = self.run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def dpkg(self, *arguments: str | Path) -> str:
        """Let dpkg do something, and return what it and the package's scripts said."""
        done = self.run(*_DPKG, *arguments)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        return said

    def install(self, package: Path) -> str:
        """Install a .deb, though not all that it depends on is here."""
        target = self.root / "root" / package.name
        target.write_bytes(package.read_bytes())
        return self.dpkg("--install", f"/root/{package.name}")

    def path(self, name: str) -> Path:
        """Where a file of that machine is on this one."""
        return self.root / name.removeprefix("/")


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    """A fresh one. Needs root."""
    with TemporaryDirectory() as scratch:
        parts = [Path(scratch) / "memory" / name for name in ("upper", "work", "root")]
        upper, work, root = parts
        layers = f"lowerdir=/,upperdir={upper},workdir={work}"
        _command("mkdir", upper.parent)
        _command("mount", "-t", "tmpfs", "tmpfs", upper.parent)
        try:
            _command("mkdir", *parts)
            _command("mount", "-t", "overlay", "overlay", "-o", layers, root)
            _command("mount", "-t", "proc", "proc", root / "proc")
            _command("mount", "-t", "tmpfs", "tmpfs", root / "run")
            _command("mount", "--bind", "/dev", root / "dev")
            yield Machine(root=root)
        finally:
            _command("umount", "--recursive", upper.parent)


def _command(*command: str | Path) -> None:
    subprocess.run(command, check=True)
