"""Removes hosts, in whatever state they are.

In: the processes, mounts, interfaces and files of hosts on this machine. Out: none of them are
left. Counterpart: `hosts.py`. Each step removes what is there and passes over what is not. So it
also cleans up after a run that was killed at any point.
"""

import shutil
from pathlib import Path
from typing import Final

from deploy.hosts import cgroups, layout, network
from deploy.hosts.commands import command

_MOUNTS: Final = Path("/proc/self/mounts")


def remove() -> bool:
    """Remove all hosts and the services for them; false if there was nothing to remove."""
    cgroups.remove_stale()
    if not layout.DATA_DIR.exists():
        return False
    for name in cgroups.names():
        cgroups.kill(name)
    network.delete_bridge()
    for line in reversed(_MOUNTS.read_text(encoding="utf-8").splitlines()):
        where = line.split()[1]
        if where.startswith(f"{layout.DATA_DIR}/"):
            command(["umount", where])
    cgroups.remove()
    shutil.rmtree(layout.DATA_DIR)
    return True


def remove_leftovers() -> None:
    """Remove what a killed run left behind. Hosts that are in use stay."""
    cgroups.remove_stale()
    if layout.DATA_DIR.exists() and not is_used():
        remove()


def is_used() -> bool:
    """Whether hosts are there that must stay: until `down`, or as long as their process lives."""
    try:
        state = layout.load_state()
    except layout.HostsError:
        return False
    return not state.owner or process_started(state.owner) == state.owner_started


def process_started(pid: int) -> int:
    """When a process started, in clock ticks since boot; -1 if no process has this id."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return -1
    return int(fields.rpartition(")")[2].split()[19])
