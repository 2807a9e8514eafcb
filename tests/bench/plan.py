"""How much the benchmarks measure: the command line sets it, the benchmarks read it."""

from dataclasses import dataclass
from pathlib import Path

from overlay.config.sections import ProxySection

WORKERS = ProxySection().worker_count
"""Worker processes of every Kamailio, ours and the peers'."""
SHARED_MEMORY_MIB = ProxySection().shared_memory_mib
"""Shared memory of every Kamailio, ours and the peers'."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The same for both sides."""

    rounds: int
    seconds: float
    """How long one side's load of a round lasts; times the rate, it is the number of calls."""
    nodes: int
    """Of the farm, and of a peer that is a farm as well."""
    users: int
    """Subscribers that are called, or that register."""
    work_dir: Path
    """For what lives as long as the run; on the disk that the farm's databases are on."""

    def count(self, rate: float) -> int:
        """Calls or REGISTERs of one side in one round."""
        return max(1, round(rate * self.seconds))

    @property
    def idle_s(self) -> float:
        """How long each side is watched doing nothing."""
        return min(2.0, self.seconds)
