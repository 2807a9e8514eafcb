"""Deletes calls that are older than the operator's retention time.

In: call events on this node's disk. Out: free space. Counterparts: the other replicas, which do the
same by the same rule; `overlay.replication.replica` and `overlay.replication.repair`, which neither
show nor offer expired calls.

    newest event ─► retention_days: shown and offered by nobody ─► a day more: deleted everywhere

In the day between, no node hands a call to a replica that may have deleted it already, although
clocks differ. A call that a sink does not have yet, or that is not on W disks, stays until then.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from overlay.base import tasks
from overlay.base.errors import SipfarmError
from overlay.observe.figures import total
from overlay.observe.part import Part
from overlay.storage.committer import Committer
from overlay.storage.rows import PastCalls

log = logging.getLogger(__name__)

DAY_US: Final = 86_400 * 1_000_000
APART_US: Final = DAY_US
"""Time between the moment from which no node shows a call and the call's deletion."""
INTERVAL_S: Final = 3_600.0
BATCH_CALLS: Final = 500
PAUSE_S: Final = 1.0
"""Pause between two batches, so that at most 500 calls a second are deleted."""


def horizon_us(now_ms: int, retention_days: int) -> int:
    """Calls whose newest event is before this time have expired, Unix time; 0 if no call has."""
    return max(0, now_ms * 1000 - retention_days * DAY_US) if retention_days else 0


class Retention(Part):
    """Deletes expired calls at one node."""

    FIGURES = (
        total(
            "sipfarm_calls_deleted_total",
            "Calls past `billing.retention_days` that were deleted here",
            lambda retention: retention.deleted,
        ),
    )

    def __init__(self, committer: Committer, horizon: Callable[[], int]) -> None:
        self._committer = committer
        self._horizon = horizon
        self._task: asyncio.Task[None] | None = None
        self.deleted = 0
        """Calls that were deleted since the start."""

    async def start(self) -> None:
        """Begin to delete."""
        self._task = asyncio.create_task(self._keep_deleting(), name="retention")

    async def stop(self) -> None:
        """End the task."""
        await tasks.end([self._task])

    async def delete_past(self, pause_s: float = PAUSE_S) -> int:
        """One pass; the number of calls that it deleted. Raises `SipfarmError`."""
        before_us, after, deleted = self._horizon() - APART_US, (0, b""), 0
        while before_us > 0:
            begin = after
            keys, next_after = await self._committer.read(
                lambda db, begin=begin: db.past_calls(begin, before_us, BATCH_CALLS)  # type: ignore[misc]
            )
            if keys:
                await self._committer.commit_wait(PastCalls(keys=keys, before_us=before_us))
                deleted += len(keys)
                self.deleted += len(keys)
            if next_after is None:
                break
            after = next_after
            await asyncio.sleep(pause_s)
        return deleted

    async def _keep_deleting(self) -> None:
        while True:
            try:
                deleted = await self.delete_past()
                if deleted:
                    log.info("%d calls past billing.retention_days were deleted", deleted)
            except SipfarmError as error:
                log.error("past calls cannot be deleted: %s", error)
            await asyncio.sleep(INTERVAL_S)
