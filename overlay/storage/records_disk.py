"""Runs `records.db` in a writing and a reading thread, and repairs it when the disk fails.

In: batches to commit, questions. Out: outcomes, on the event loop. Counterparts: `committer.py`
asks; `database.py` does the work; `salvage.py` saves what can be saved of a broken file.

Call events do not wait for the database. They are safe in a log (`event_log.py`), and settled in
`records.db` many at a time: before anybody reads, and before other rows are committed. A batch that
the log does not take, for whatever reason, goes to the database as other rows do.

After an error of the device, nobody knows what the file contains. It is closed, opened again and
written out anew before the next commit. The batch whose sync failed was refused; the file may
contain it or not.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from overlay.base.errors import CorruptError, DeviceError, StorageError
from overlay.storage import salvage
from overlay.storage.committer import Committed
from overlay.storage.damage import Damage
from overlay.storage.database import RecordsDatabase
from overlay.storage.event_log import EventLog
from overlay.storage.log_file import open_files
from overlay.storage.outbox import Sinks
from overlay.storage.rows import Row
from overlay.storage.schema import RECORDS
from overlay.storage.settling import Settling, take_in
from overlay.storage.syncing import open_syncer

log = logging.getLogger(__name__)

T = TypeVar("T")


class Trouble(IntEnum):
    """What has to be done before the file is used again."""

    NONE = 0
    DEVICE = 1
    CORRUPT = 2


class RecordsDisk:
    """The `Disk` of a real node."""

    def __init__(self, directory: Path, damage: Damage, vfs: str | None = None) -> None:
        self.damage = damage
        self._loop = asyncio.get_running_loop()
        self._directory = directory
        self._vfs = vfs
        self._trouble = Trouble.NONE
        self._files = threading.Lock()
        """Held by the thread that asks the reader, and by the thread that replaces the reader."""
        salvage.finish(directory / "records.db")
        damage.look_for_files(directory)
        try:
            self._database, self._reader = self._open(), self._open()
        except CorruptError:
            salvage.rebuild(directory / "records.db", RECORDS, damage)
            self._database, self._reader = self._open(), self._open()
        self._settling = self._settling_by_log() if vfs is None else None
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="records-read")
        self._batches: SimpleQueue[tuple[list[Row], Committed] | None] = SimpleQueue()
        self._writing = threading.Thread(target=self._write, name="records", daemon=True)
        self._writing.start()

    @property
    def last_error(self) -> str:
        return self._settling.last_error if self._settling is not None else ""

    def commit(self, rows: list[Row], finished: Committed) -> None:
        if self._settling is None:
            self._commit_later(rows, finished)
        else:
            self._settling.commit(rows, finished)

    async def read(self, question: Callable[[RecordsDatabase], T]) -> T:
        if self._settling is not None:
            await self._settling.wait()
        try:
            return await self._loop.run_in_executor(self._reading, self._ask, question)
        except StorageError:
            if not self._trouble:
                raise
            await self._mended()
            return await self._loop.run_in_executor(self._reading, self._ask, question)

    async def close(self) -> None:
        if self._settling is not None:
            try:
                await self._settling.wait()
            except StorageError as error:
                log.error("call events are left to be settled at the next start: %s", error)
            self._settling.close()
        self._batches.put(None)
        await self._loop.run_in_executor(self._reading, self._writing.join)
        try:
            await self._loop.run_in_executor(self._reading, self._reader.close)
            self._database.close()
        except StorageError as error:
            log.error("records.db is left to be recovered at the next start: %s", error)
        self._reading.shutdown()

    # inner workings

    def _settling_by_log(self) -> Settling | None:
        """Move into the database the events that a crash left in the log. None if this process
        cannot have a log."""
        try:
            event_log = EventLog(open_files(self._directory, self.damage))
            found = take_in(event_log, self._commit)
        except OSError as error:
            raise StorageError(f"log of call events: {error}") from error
        if found:
            log.info("%d call events of the last run were taken from the log", found)
        syncer = open_syncer()
        if syncer is None:
            log.warning("the kernel syncs no files for this process: commits cost more")
            event_log.close()
            return None
        return Settling(event_log, syncer, self._commit_later)

    def _commit_later(self, rows: list[Row], finished: Committed) -> None:
        """Have the writing thread commit the rows."""
        self._batches.put((rows, finished))

    def _open(self) -> RecordsDatabase:
        return RecordsDatabase(self._directory, self.damage, self._vfs)

    def _ask(self, question: Callable[[RecordsDatabase], T]) -> T:
        """Ask the reader. Runs in the reading thread."""
        with self._files:
            try:
                return question(self._reader)
            except StorageError as error:
                self._note(error)
                raise

    async def _mended(self) -> None:
        """Wait until the file is mended: an empty batch does that."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._commit_later([], lambda _: done.set_result(None))
        await done

    def _write(self) -> None:
        """The writing thread's loop."""
        while (batch := self._batches.get()) is not None:
            rows, finished = batch
            failure = None
            try:
                self._commit(rows)
            except StorageError as error:
                failure = error
            except Exception as error:
                failure = StorageError(f"{type(error).__name__}: {error}")
            self._loop.call_soon_threadsafe(finished, failure)

    def _commit(self, rows: list[Row]) -> None:
        if self._trouble:
            self._mend()
        if not rows:
            return
        try:
            self._database.commit(rows)
        except CorruptError as error:
            self._note(error)
            self._mend()
            self._database.commit(rows)
        except StorageError as error:
            self._note(error)
            raise

    def _note(self, error: StorageError) -> None:
        if isinstance(error, CorruptError):
            self._trouble = Trouble.CORRUPT
        elif isinstance(error, DeviceError):
            log.error("records.db is opened anew: %s", error)
            self._trouble = max(self._trouble, Trouble.DEVICE)

    def _mend(self) -> None:
        """Mend the file. Runs in the writing thread. Raises `StorageError`; then the next batch
        tries again."""
        with self._files:
            sinks = self._database.sinks
            for database in (self._reader, self._database):
                with suppress(StorageError):
                    database.close()
            if self._trouble is Trouble.CORRUPT:
                salvage.rebuild(self._directory / "records.db", RECORDS, self.damage)
            try:
                self._database = self._open()
                self._database.secure()
                self._database.commit([Sinks(names=sinks)])
                self._reader = self._open()
            except StorageError as error:
                self._note(error)
                with suppress(StorageError):
                    self._database.close()
                raise
            self._trouble = Trouble.NONE
