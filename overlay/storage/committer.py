"""Group commit: many writes, one fsync.

In: rows from the event loop. Out: each row's outcome, once its commit is on disk. Counterpart:
`database.py` in one storage thread. While one batch is being committed the next one gathers, so
the batch grows with the load and the cost of a write falls.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from overlay.errors import StorageError
from overlay.limits import COMMIT_BATCH_MAX, COMMIT_QUEUE_MAX
from overlay.storage.database import RecordsDatabase, Row

Committed = Callable[[StorageError | None], None]
T = TypeVar("T")


class Committer:
    """The one writer and reader of `records.db`."""

    def __init__(self, directory: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="records")
        self._reader_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="records-read")
        self._database = RecordsDatabase(directory)
        self._reader = RecordsDatabase(directory)
        self._queue: list[tuple[Row, Committed]] = []
        self._busy = False
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.last_error = ""
        self.batches = 0
        self.rows = 0

    def commit(self, row: Row, committed: Committed) -> None:
        """Queue a row; `committed` is called once, with None when it is on disk."""
        if self._closed or len(self._queue) >= COMMIT_QUEUE_MAX:
            reason = "closing" if self._closed else "too many writes are waiting for the disk"
            committed(StorageError(reason))
            return
        self._queue.append((row, committed))
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._next_batch)

    async def commit_wait(self, row: Row) -> None:
        """`commit` for a coroutine; raises `StorageError`."""
        future: asyncio.Future[None] = self._loop.create_future()

        def committed(error: StorageError | None) -> None:
            if future.done():
                return
            if error:
                future.set_exception(error)
            else:
                future.set_result(None)

        self.commit(row, committed)
        await future

    async def read(self, question: Callable[[RecordsDatabase], T]) -> T:
        """Ask the database, in a thread of its own; raises `StorageError`."""
        if self._closed:
            raise StorageError("closing")
        return await self._loop.run_in_executor(self._reader_thread, question, self._reader)

    async def write(self, work: Callable[[RecordsDatabase], T]) -> T:
        """Do something rare in the writer's thread; raises `StorageError`."""
        return await self._loop.run_in_executor(self._thread, work, self._database)

    async def close(self) -> None:
        """Commit what is queued, then close the files."""
        self._closed = True
        await self._idle.wait()
        await self._loop.run_in_executor(self._reader_thread, self._reader.close)
        await self._loop.run_in_executor(self._thread, self._database.close)
        self._thread.shutdown()
        self._reader_thread.shutdown()

    def _next_batch(self) -> None:
        batch, self._queue = self._queue[:COMMIT_BATCH_MAX], self._queue[COMMIT_BATCH_MAX:]
        if not batch:
            self._busy = False
            self._idle.set()
            return
        rows = [row for row, _ in batch]
        future = self._loop.run_in_executor(self._thread, self._database.commit, rows)

        def finished(outcome: "asyncio.Future[None]") -> None:
            error = outcome.exception()
            self.batches += 1
            if error is None:
                self.last_error = ""
                self.rows += len(rows)
            else:
                self.last_error = str(error)
            failure = (
                error
                if isinstance(error, StorageError) or error is None
                else (StorageError(f"{type(error).__name__}: {error}"))
            )
            self._next_batch()
            for _, committed in batch:
                committed(failure)

        future.add_done_callback(finished)
