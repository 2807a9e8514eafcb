"""Starts processes in a host's namespace, finds them by the namespace, and sends them signals.

In: hosts and command lines. Out: process ids. Counterpart: `lab.py`.

A process belongs to a host if it is in the host's network namespace. So the lab also finds what a
service forks and what `lab exec` starts. Each service is a session of its own, so that its
processes can be told from those of other services.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from pathlib import Path

from deploy.lab.layout import NETNS_DIR, Host, LabError

_POLL_S = 0.02
_GONE_WITHIN_S = 20.0
_REMIND_S = 5.0
"""SIGTERM is sent again after so long. A Kamailio that gets the first one just before it begins to
wait for signals notices it only with the next."""


class ProcessState(StrEnum):
    """Whether a service runs."""

    RUNNING = "running"
    FROZEN = "frozen"
    DEAD = "dead"


def in_namespace(host: Host, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` on the host."""
    return ["ip", "netns", "exec", host.name, *command]


def start(host: Host, service: str, command: Sequence[str]) -> int:
    """Start a service in the background; returns its process id, which is also its session's id.

    The service outlives its starter. It is no child of it, so the starter need not wait for it.
    """
    log, pid_file = host.log(service), host.pid_file(service)
    for directory in (log.parent, pid_file.parent):
        directory.mkdir(parents=True, exist_ok=True)
    # In a shell without job control, a background process leads no group. So setsid does not fork,
    # and $! is the service's own process id.
    script = 'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(log), *in_namespace(host, command)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd="/",
    )
    pid_file.write_text(done.stdout, encoding="ascii")
    session = int(done.stdout)
    _until_in_namespace(host, session)
    return session


def of_hosts(hosts: Iterable[Host]) -> dict[str, list[int]]:
    """The ids of all processes in each host's namespace, by the host's name.

    It reads the list of the machine's processes once for all hosts: a large lab has thousands.
    """
    found: dict[str, list[int]] = {host.name: [] for host in hosts}
    names = {_namespace(NETNS_DIR / name): name for name in found}
    names.pop(None, None)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            name = names.get(_namespace(f"/proc/{entry.name}/ns/net"))
            if name is not None:
                found[name].append(int(entry.name))
    return found


def of_host(host: Host) -> list[int]:
    """The ids of all processes in the host's namespace."""
    return of_hosts([host])[host.name]


def of_services(host: Host, services: Collection[str], pids: Iterable[int]) -> dict[str, list[int]]:
    """Those ids of `pids` that belong to each of these services of the host, by service."""
    sessions = {session_of(host, service): service for service in services}
    # A service that was never started has session 0, and so have kernel threads.
    sessions.pop(0, None)
    found: dict[str, list[int]] = {service: [] for service in services}
    for pid in pids:
        service = sessions.get(_session(pid))
        if service is not None:
            found[service].append(pid)
    return found


def of_service(host: Host, service: str) -> list[int]:
    """The ids of the processes of one service of the host."""
    return of_services(host, [service], of_host(host))[service]


def session_of(host: Host, service: str) -> int:
    """The id of the service's first process and of its session; 0 if it was never started."""
    try:
        return int(host.pid_file(service).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def state_of(pids: Iterable[int]) -> ProcessState:
    """The state of the service that has these processes."""
    letters = {_letter(pid) for pid in pids} - {"", "Z", "X"}
    if not letters:
        return ProcessState.DEAD
    return ProcessState.FROZEN if letters <= {"T", "t"} else ProcessState.RUNNING


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_all(host: Host, service: str = "") -> None:
    """Send SIGKILL to every process of the host, or of one service, also to those being forked just
    now, and wait for their end."""
    _until_gone(host, service, signal.SIGKILL)


def freeze_all(host: Host, service: str = "") -> None:
    """Send SIGSTOP to every process of the host, or of one service, and wait until all stopped."""
    until_s = time.monotonic() + _GONE_WITHIN_S
    while True:
        pids = _pids(host, service)
        send(pids, signal.SIGSTOP)
        if state_of(_pids(host, service)) is not ProcessState.RUNNING:
            return
        if time.monotonic() > until_s:
            raise LabError(f"{host.name} {service}: processes that cannot be frozen: {pids}")
        time.sleep(_POLL_S)


def thaw_all(host: Host, service: str = "") -> None:
    """Send SIGCONT to every process of the host, or of one service."""
    send(_pids(host, service), signal.SIGCONT)


def stop(host: Host, service: str) -> None:
    """Send SIGTERM to a service and wait until all its processes have ended; raises `LabError` if
    they do not in time."""
    session = session_of(host, service)
    if session not in of_host(host):
        return
    send([session], signal.SIGTERM)
    thaw_all(host, service)
    _until_gone(host, service, None, reminded=session)


def _until_in_namespace(host: Host, pid: int) -> None:
    """Wait until `ip netns exec` has put the process into the namespace: before, no function here
    would find it."""
    until_s = time.monotonic() + _GONE_WITHIN_S
    inside = _namespace(NETNS_DIR / host.name)
    while _letter(pid) not in ("", "Z", "X") and _namespace(f"/proc/{pid}/ns/net") != inside:
        if time.monotonic() > until_s:
            send([pid], signal.SIGKILL)
            raise LabError(f"process {pid} does not get into the namespace of {host.name}")
        time.sleep(_POLL_S / 10)


def _until_gone(
    host: Host, service: str, number: signal.Signals | None, *, reminded: int = 0
) -> None:
    until_s = time.monotonic() + _GONE_WITHIN_S
    remind_s = time.monotonic() + _REMIND_S
    while pids := _pids(host, service):
        if number is not None:
            send(pids, number)
        elif reminded in pids and time.monotonic() > remind_s:
            remind_s += _REMIND_S
            send([reminded], signal.SIGTERM)
        if time.monotonic() > until_s:
            raise LabError(
                f"{host.name} {service}: still there after {_GONE_WITHIN_S:.0f} s: {pids}"
            )
        time.sleep(_POLL_S)


def _pids(host: Host, service: str) -> list[int]:
    return of_service(host, service) if service else of_host(host)


def _namespace(path: Path | str) -> tuple[int, int] | None:
    """Inode and device of a namespace's file, the same for all files that stand for the namespace;
    None if there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_ino, status.st_dev)


def _session(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[3]) if fields else 0


def _letter(pid: int) -> str:
    fields = _stat(pid)
    return fields[0] if fields else ""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: state, parent, group, session, …"""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []
