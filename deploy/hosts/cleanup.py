"""Removing hosts, in whatever state they are.

In: what is on the machine. Out: nothing of it. Counterpart: `hosts.py`. Each step takes away what
is there and passes over what is not, so a run that was killed anywhere can be cleaned up after.
"""

import shutil
from pathlib import Path
from typing import Final

from deploy.hosts import cgroups, layout, network
from deploy.hosts.commands import command

_MOUNTS: Final = Path("/proc/self/mounts")


def remove() -> bool:
    """Remove all hosts and what serves them; false if there was nothing."""
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
    """Remove what a run left behind that was killed; hosts that somebody uses are left alone."""
    cgroups.remove_stale()
    if layout.DATA_DIR.exists() and not is_used():
        remove()


def is_used() -> bool:
    """Whether hosts are there that somebody wants: until `down`, or as long as a process lives."""
    try:
        state = layout.load_state()
    except layout.HostsError:
        return False
    return not state.owner or process_started(state.owner) == state.owner_started


def process_started(pid: int) -> int:
    """When a process started, in clock ticks since boot; -1 if there is none of this number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return -1
    return int(fields.rpartition(")")[2].split()[19])
