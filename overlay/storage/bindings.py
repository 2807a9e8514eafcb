"""Keeps the registration records of which this node is a replica: in memory, written to disk later.

In: records by key. Out: the same, at once. Counterpart: `bindings_database.py`, whose file is
brought up to date FLUSH_S seconds after a change and read at the start.

Records are kept encoded: a decoded one would take several times the memory.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from overlay.base import tasks
from overlay.base.errors import StorageError
from overlay.observe.part import Part
from overlay.records import registration
from overlay.storage.bindings_database import BindingsDatabase
from overlay.storage.space import Space, unlimited

log = logging.getLogger(__name__)

FLUSH_S = 0.5
"""How long after a change it is written, together with all that changed meanwhile."""
LOOK_S = 5.0
"""How long, while nothing changes, the node waits before it looks again at the disk's space and for
expired records."""
SWEEP_SLICE = 2_000
"""How many records are checked for expiry at each flush."""
SWEEP_PAUSE_S = 30.0
"""How long the node waits between the end of one sweep over all records and the next. Expired
records are not served in the meantime."""


class Bindings(Part):
    """All registration records of this node."""

    def __init__(
        self, database: BindingsDatabase, now_ms: Callable[[], int], space: Space | None = None
    ) -> None:
        self._space = space or unlimited()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bindings")
        self._loop = asyncio.get_running_loop()
        self._now_ms = now_ms
        self._database = database
        self._records = self._database.load()
        self._dirty: set[bytes] = set()
        self._to_do = asyncio.Event()
        """Set while there are records to write, or while the sweep is not finished."""
        self._sweep: Iterator[bytes] = iter(())
        self._sweep_after_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self.last_error = ""

    def __len__(self) -> int:
        return len(self._records)

    async def start(self) -> None:
        """Begin to write changes to disk."""
        self._task = asyncio.create_task(self._keep_flushing(), name="bindings")

    async def stop(self) -> None:
        """Write all changes that are not written yet, and close the file."""
        await tasks.end([self._task])
        await self._flush()
        try:
            await self._loop.run_in_executor(self._thread, self._database.close)
        except StorageError as error:
            log.error("bindings.db is left to be recovered at the next start: %s", error)
        self._thread.shutdown()

    def get(self, key: bytes) -> bytes | None:
        """The encoded record; None if it is not here."""
        return self._records.get(key)

    def put(self, key: bytes, body: bytes) -> None:
        """Put a record in place of the one before."""
        self._records[key] = body
        self._dirty.add(key)
        self._to_do.set()

    def forget(self, key: bytes) -> None:
        """Drop a record."""
        self._records.pop(key, None)
        self._dirty.add(key)
        self._to_do.set()

    def keys(self) -> list[bytes]:
        """The keys of all records."""
        return list(self._records)

    async def scrub(self, after: bytes, limit: int) -> bytes:
        """Write rows again that have rotted on disk, among the next `limit` rows after the key
        `after`. The key at which to go on; empty at the end.

        Raises `StorageError`.
        """
        rotten, last = await self._loop.run_in_executor(
            self._thread, self._database.rotten_after, after, limit
        )
        if rotten:
            self._dirty.update(rotten)
            self._to_do.set()
        return last

    async def _keep_flushing(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._to_do.wait()
                await asyncio.sleep(FLUSH_S)
            self._to_do.clear()
            self._drop_expired()
            short = self._space.short()
            if short:
                self.last_error = f"short of space: {short}"
            else:
                await self._flush()
            if self._dirty or self._loop.time() >= self._sweep_after_s:
                self._to_do.set()

    async def _flush(self) -> None:
        if not self._dirty:
            self.last_error = ""
            return
        dirty, self._dirty = self._dirty, set()
        rows = [(key, self._records.get(key)) for key in dirty]
        try:
            await self._loop.run_in_executor(self._thread, self._database.write, rows)
            self.last_error = ""
        except StorageError as error:
            if not self.last_error:
                log.error("registrations cannot be written to disk: %s", error)
            self.last_error = str(error)
            self._dirty |= dirty
            await self._mend(error)

    async def _mend(self, error: StorageError) -> None:
        try:
            if await self._loop.run_in_executor(self._thread, self._database.mend, error):
                self._dirty.update(self._records)
        except StorageError as again:
            log.error("bindings.db cannot be mended: %s", again)

    def _drop_expired(self) -> None:
        if self._loop.time() < self._sweep_after_s:
            return
        now_ms = self._now_ms()
        for _ in range(SWEEP_SLICE):
            key = next(self._sweep, None)
            if key is None:
                self._sweep = iter(list(self._records))
                self._sweep_after_s = self._loop.time() + SWEEP_PAUSE_S
                return
            body = self._records.get(key)
            if body is None:
                continue
            try:
                record = registration.decode(body)
            except msgspec.MsgspecError:
                log.error("dropping a registration record that cannot be read")
                record = ()
            kept = registration.prune(record, now_ms)
            if not kept:
                self.forget(key)
            elif len(kept) != len(record):
                self.put(key, registration.encode(kept))
