"""Group commit: many writes, one fsync.

In: rows from the event loop. Out: each row's outcome, once its commit is on disk. Counterpart:
`records_disk.py`, which commits in one thread and reads in another.

While one batch is being committed, the next one gathers. So the batch grows with the load, and the
cost of a write falls. Rows that a read finds rotten are set aside with the next batch.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from overlay.base import limit_hits
from overlay.base.errors import StorageError
from overlay.base.limits import COMMIT_BATCH_MAX, COMMIT_QUEUE_MAX
from overlay.observe.figures import gauge, total
from overlay.observe.metric_families import Unit
from overlay.observe.part import Part
from overlay.storage.damage import Damage
from overlay.storage.database import RecordsDatabase
from overlay.storage.rows import EventRow, Row, SubscriberRow
from overlay.storage.space import Space, unlimited

Committed = Callable[[StorageError | None], None]
Batch = list[tuple[Row | None, Committed]]
"""Rows with their callbacks. None is no row: its callback only waits until the batch is through."""
T = TypeVar("T")


class Disk(Protocol):
    """What a committer needs of a disk."""

    damage: Damage

    @property
    def last_error(self) -> str:
        """Why rows that are safe are not in the database yet; empty when nothing is wrong."""
        ...

    def commit(self, rows: list[Row], finished: Committed) -> None:
        """Commit all rows or none. `finished` is called on the loop when they are safe, or with an
        error."""
        ...

    async def read(self, question: Callable[[RecordsDatabase], T]) -> T:
        """The database's answer to a question. Raises `StorageError`."""
        ...

    async def close(self) -> None:
        """Close the files. No commit may be under way any more."""
        ...


class Committer(Part):
    """The one writer and reader of the durable records."""

    FIGURES = (
        gauge(
            "sipfarm_disk_ok",
            "Whether the last commit succeeded",
            lambda committer: not committer.last_error,
        ),
        gauge(
            "sipfarm_disk_free_bytes",
            "Free space where the data directory is",
            lambda committer: committer.space.free_bytes(),
            Unit.BYTES,
        ),
        total(
            "sipfarm_commits_total",
            "Commits of call events and subscribers",
            lambda committer: committer.batches,
        ),
        total(
            "sipfarm_committed_rows_total",
            "Rows in those commits",
            lambda committer: committer.rows,
        ),
        total(
            "sipfarm_rotten_rows_total",
            "Rows on disk that were not as they were written",
            lambda committer: committer.damage.rotten_rows,
        ),
        gauge(
            "sipfarm_broken_files",
            "Files that were broken and are set aside in the data directory",
            lambda committer: len(committer.damage.files),
        ),
    )

    def __init__(self, disk: Disk, space: Space | None = None) -> None:
        self.space = space or unlimited()
        self._loop = asyncio.get_running_loop()
        self._disk = disk
        self._queue: Batch = []
        self._busy = False
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._last_error = ""
        self.batches = 0
        self.rows = 0

    @property
    def damage(self) -> Damage:
        """What was found broken on the disk."""
        return self._disk.damage

    @property
    def last_error(self) -> str:
        """Why the last commit failed, or what is wrong with the disk; empty if nothing is."""
        return self._last_error or self._disk.last_error

    @property
    def waiting(self) -> int:
        """How many rows wait for the commit before theirs."""
        return len(self._queue)

    def commit(self, row: Row, committed: Committed) -> None:
        """Queue a row. `committed` is called once: with None when the row is on disk, or with an
        error."""
        if self._closed or len(self._queue) >= COMMIT_QUEUE_MAX:
            limit_hits.hit("COMMIT_QUEUE_MAX")
            reason = "closing" if self._closed else "too many writes are waiting for the disk"
            committed(StorageError(reason))
            return
        if isinstance(row, EventRow | SubscriberRow) and row.new and (short := self.space.short()):
            committed(StorageError(f"the disk is short of space: {short}"))
            return
        self._enqueue(row, committed)

    async def commit_wait(self, row: Row) -> None:
        """Commit a row and wait until it is on disk. Raises `StorageError`."""
        await self._told(lambda committed: self.commit(row, committed))

    async def round_trip(self) -> None:
        """Wait until every row that was queued before is through and the disk has answered to an
        empty batch. Raises `StorageError` if something is wrong with the disk."""
        if self._closed:
            raise StorageError("closing")
        await self._told(lambda committed: self._enqueue(None, committed))

    async def read(self, question: Callable[[RecordsDatabase], T]) -> T:
        """The database's answer to a question. Raises `StorageError`."""
        if self._closed:
            raise StorageError("closing")
        answer = await self._disk.read(question)
        for row in self._disk.damage.take():
            self.commit(row, lambda _: None)
        return answer

    async def stop(self) -> None:
        """Commit the rows that are queued, then close the files."""
        self._closed = True
        await self._idle.wait()
        await self._disk.close()

    async def _told(self, begin: Callable[[Committed], None]) -> None:
        future: asyncio.Future[None] = self._loop.create_future()

        def committed(error: StorageError | None) -> None:
            if future.done():
                return
            if error:
                future.set_exception(error)
            else:
                future.set_result(None)

        begin(committed)
        await future

    def _enqueue(self, row: Row | None, committed: Committed) -> None:
        self._queue.append((row, committed))
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._next_batch)

    def _next_batch(self) -> None:
        batch, self._queue = self._queue[:COMMIT_BATCH_MAX], self._queue[COMMIT_BATCH_MAX:]
        if batch:
            rows = [row for row, _ in batch if row is not None]
            self._disk.commit(rows, lambda failure: self._finished(batch, len(rows), failure))
        else:
            self._busy = False
            self._idle.set()

    def _finished(self, batch: Batch, rows: int, failure: StorageError | None) -> None:
        if rows:
            # An empty batch says nothing about whether rows can be written.
            self.batches += 1
            self._last_error = str(failure) if failure else ""
        if failure is None:
            self.rows += rows
        self._next_batch()
        for _, committed in batch:
            committed(failure)
