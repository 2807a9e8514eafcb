"""Reads the CPU time of all processes in the nodes' network namespaces.

In: namespace names; /proc. Out: nanoseconds of user plus system time since the processes began. The
difference of two readings is the cost of the time between them. A process that ended in between is
not lost, as its parent's account holds its time.

/proc/PID/stat rounds each process to 10 ms: an error of up to a tenth over forty processes and a
short round. /proc/PID/task/*/schedstat is the same account, unrounded.
"""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_KTHREADD = "2"
_FOR_FILES = ("kworker", "jbd2")
"""The kernel's threads that write and sync files; a sync that the kernel does by itself, as our
daemon has it, is in nobody else's account."""
_PROC = Path("/proc")
_NETNS = Path("/run/netns")


def namespaces_ns(names: tuple[str, ...]) -> Counter[str]:
    """CPU time of all processes in these network namespaces, in nanoseconds by program name.

    Raises `OSError` when a namespace does not exist.
    """
    found: Counter[str] = Counter()
    for pid in processes_in(names):
        entry = _PROC / str(pid)
        try:
            program = (entry / "comm").read_text().strip()
            found[program] += _own_ns(entry) + _reaped_children_ns(entry)
        except (FileNotFoundError, ProcessLookupError):
            # It ended meanwhile.
            continue
    return found


@dataclass(frozen=True, kw_only=True)
class Account:
    """CPU time so far: of a side, and of the kernel's own threads for files, whoever they worked
    for: what else the machine does meanwhile is the same for both sides of a comparison."""

    programs_ns: Counter[str]
    """Nanoseconds by program name."""
    threads_ns: dict[str, int]
    """Of the kernel's threads by their number; they come and go."""

    def since(self, before: "Account") -> Counter[str]:
        """Nanoseconds used between two readings, by program name and for `kernel`."""
        spent_ns = Counter(self.programs_ns)
        spent_ns.subtract(before.programs_ns)
        for number, used_ns in self.threads_ns.items():
            used_before_ns = before.threads_ns.get(number, 0)
            # With less than it had, it is another one, which got the number of one that ended.
            spent_ns["kernel"] += used_ns - (used_before_ns if used_before_ns <= used_ns else 0)
        return spent_ns


def account(names: tuple[str, ...]) -> Account:
    """A reading; raises `OSError` when a namespace does not exist."""
    return Account(programs_ns=namespaces_ns(names), threads_ns=_kernel_ns())


def _kernel_ns() -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, _, fields = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            if fields.split()[1] == _KTHREADD and name.startswith(_FOR_FILES):
                found[entry.name] = _own_ns(entry)
        except (FileNotFoundError, ProcessLookupError):
            # It ended meanwhile.
            continue
    return found


def processes_in(names: tuple[str, ...]) -> list[int]:
    """Ids of all processes in these network namespaces; raises `OSError` as above."""
    wanted = {_identity(_NETNS / name) for name in names}
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if _identity(entry / "ns" / "net") in wanted:
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            # It ended meanwhile, or is another container's.
            continue
    return found


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _own_ns(process: Path) -> int:
    return sum(
        int((thread / "schedstat").read_text().split()[0])
        for thread in (process / "task").iterdir()
    )


def _reaped_children_ns(process: Path) -> int:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * _NS_PER_TICK
