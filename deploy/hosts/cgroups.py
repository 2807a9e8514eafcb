"""Gives each host control groups of its own, so that all its processes are found and end together.

In: the name of a group below this run's group. Out: started processes, lists of processes, or
their end. Counterpart: the kernel. The systemd inside a host makes further groups below.

A run's namespaces do not separate control groups: all runs of the machine share one tree. So a
run's groups bear the name of the directory that holds its data. The run makes that directory
before its groups and removes it after them.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.hosts.commands import wait_until
from deploy.hosts.layout import DATA_DIR, HostsError

_ROOT: Final = Path("/sys/fs/cgroup")
_PREFIX: Final = "sipfarm-hosts@"
_NOT_USED: Final = "cpuset"
"""A new group of this controller takes no process until processors are assigned to it."""
_GONE_WITHIN_S: Final = 30.0
_ENTER: Final = """
log=$1 groups=$2; shift 2
for group in $groups; do echo $$ >"$group/cgroup.procs"; done
exec setsid "$@" </dev/null >>"$log" 2>&1
"""


def start(name: str, argv: Sequence[str], log: Path) -> None:
    """Start a command in the background in a group of its own. The command outlives the caller."""
    groups = [hierarchy / _own_name() / name for hierarchy in _hierarchies()]
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["sh", "-c", '(sh -c "$0" sh "$@") &', _ENTER, str(log), " ".join(map(str, groups)), *argv],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )
    wait_until(lambda: bool(processes(name)), f"{name}: {argv[0]} has started", _GONE_WITHIN_S)


def processes(name: str) -> list[int]:
    """The ids of all processes in the group and in the groups below it."""
    found: set[int] = set()
    for hierarchy in _hierarchies():
        for directory, _, _ in os.walk(hierarchy / _own_name() / name):
            with contextlib.suppress(OSError):  # removed meanwhile
                text = Path(directory, "cgroup.procs").read_text(encoding="ascii")
                found.update(int(each) for each in text.split())
    return sorted(found)


def kill(name: str) -> None:
    """Send SIGKILL to all processes of the group, also to those being forked just now, and wait
    for their end."""

    def gone() -> bool:
        pids = processes(name)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    wait_until(gone, f"{name}: every process has ended", _GONE_WITHIN_S)


def names() -> list[str]:
    """The names of this run's groups."""
    found = {path.name for base in _hierarchies() for path in (base / _own_name()).glob("*/")}
    return sorted(found)


def remove() -> None:
    """Remove this run's groups. No process may be left in them."""
    for hierarchy in _hierarchies():
        _remove_tree(hierarchy / _own_name())


def remove_stale() -> None:
    """Remove the groups of earlier runs that were killed together with their namespaces."""
    for hierarchy in _hierarchies():
        for group in hierarchy.glob(f"{_PREFIX}*"):
            if not Path(group.name.removeprefix(_PREFIX).replace("@", "/")).exists():
                with contextlib.suppress(OSError):  # a process runs there after all
                    _remove_tree(group)


def _own_name() -> str:
    return _PREFIX + str(DATA_DIR).replace("/", "@")


def _hierarchies() -> list[Path]:
    if (_ROOT / "cgroup.procs").exists():
        return [_ROOT]
    found = [each for each in _ROOT.glob("*/") if (each / "cgroup.procs").exists()]
    if not found:
        raise HostsError(f"no control groups in {_ROOT}: a host cannot do without")
    real = [each for each in found if not each.is_symlink() and each.name != _NOT_USED]
    return sorted(real)


def _remove_tree(group: Path) -> None:
    for directory, _, _ in os.walk(group, topdown=False):
        Path(directory).rmdir()
