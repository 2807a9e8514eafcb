"""`records.db` in a writing and a reading thread.

In: batches to commit, questions. Out: outcomes, on the event loop. Counterparts: `committer.py`
asks; `database.py` does the work.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from overlay.errors import StorageError
from overlay.storage.committer import Committed
from overlay.storage.damage import Damage
from overlay.storage.database import RecordsDatabase
from overlay.storage.rows import Row

T = TypeVar("T")


class RecordsDisk:
    """The `Disk` of a real node."""

    def __init__(self, directory: Path, damage: Damage) -> None:
        self.damage = damage
        self._loop = asyncio.get_running_loop()
        self._database = RecordsDatabase(directory, damage)
        self._reader = RecordsDatabase(directory, damage)
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="records-read")
        self._batches: SimpleQueue[tuple[list[Row], Committed] | None] = SimpleQueue()
        self._writing = threading.Thread(target=self._write, name="records", daemon=True)
        self._writing.start()

    def commit(self, rows: list[Row], finished: Committed) -> None:
        self._batches.put((rows, finished))

    async def read(self, question: Callable[[RecordsDatabase], T]) -> T:
        return await self._loop.run_in_executor(self._reading, question, self._reader)

    async def close(self) -> None:
        self._batches.put(None)
        await self._loop.run_in_executor(self._reading, self._writing.join)
        await self._loop.run_in_executor(self._reading, self._reader.close)
        self._database.close()
        self._reading.shutdown()

    def _write(self) -> None:
        """The writing thread."""
        while (batch := self._batches.get()) is not None:
            rows, finished = batch
            failure = None
            try:
                self._database.commit(rows)
            except StorageError as error:
                failure = error
            except Exception as error:
                failure = StorageError(f"{type(error).__name__}: {error}")
            self._loop.call_soon_threadsafe(finished, failure)
