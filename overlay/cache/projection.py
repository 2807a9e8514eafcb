"""What Redis shows to the proxies: targets of hot addresses-of-record, and nothing else.

In: entries to show or to remove. Out: the same in Redis, one pipeline at a time. Counterpart: the
proxies' `GET l:<aor>` (`overlay.records.targets.redis_key`).

The proxies keep the entries that they have read, until `generations.py` says that an entry has
changed. It says so once Redis shows the change, and before the change is acknowledged.

Redis holds only data that can be lost. When it was out of reach, its entries may be stale, so it is
emptied before it is used again. Until then, each entry ends with its TTL, which is never longer
than the lease under which the record was read. The same holds while no daemon runs: the proxies
then go on with the entries that there are.
"""

import asyncio
import logging
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from overlay.base import tasks
from overlay.base.limits import HOT_RECORDS_MAX
from overlay.cache.generations import Generations
from overlay.observe.figures import gauge, total
from overlay.observe.part import Part

log = logging.getLogger(__name__)

TIMEOUT_S = 0.25
RETRY_S = 1.0


class Projection(Part):
    """Writes to this node's Redis."""

    FIGURES = (
        gauge(
            "sipfarm_redis_up", "Whether Redis can be used", lambda projection: not projection.error
        ),
        total(
            "sipfarm_redis_writes_total",
            "Entries written to Redis",
            lambda projection: projection.writes,
        ),
    )

    def __init__(self, socket_path: Path, generations: Generations) -> None:
        self._generations = generations
        self._redis = Redis(
            unix_socket_path=str(socket_path),
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            # The client's own retries would take seconds, and would hide from this class what
            # happened.
            retry=Retry(NoBackoff(), 0),
        )
        self._loop = asyncio.get_running_loop()
        self._pending: dict[str, tuple[bytes, int] | None] = {}
        self._flushed: asyncio.Future[None] = self._loop.create_future()
        self._clearing = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self.error = "not connected yet"
        """Why Redis does not work; empty while it works."""
        self.writes = 0

    async def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._keep_writing(), name="projection")

    async def tried(self) -> None:
        """Wait until Redis shows nothing of an earlier run, or was found to be out of reach."""
        await self._tried.wait()

    async def stop(self) -> None:
        """Stop, and end the waits for Redis."""
        await tasks.end([self._task])
        self._finish()
        await self._redis.aclose()

    def set(self, key: str, value: bytes, ttl_ms: int) -> "asyncio.Future[None]":
        """Show `value` for `ttl_ms`. The future is done when Redis has it, or cannot have it."""
        return self._queue(key, (value, ttl_ms))

    def delete(self, key: str) -> "asyncio.Future[None]":
        """Remove the entry. The future is done when Redis has removed it, or cannot be reached."""
        return self._queue(key, None)

    def clear(self) -> None:
        """Remove all entries."""
        self._pending.clear()
        self._clearing = True
        # This is repeated when Redis is empty, as a proxy may read an old entry until then.
        self._generations.all_changed()
        self._wake.set()

    def _queue(self, key: str, entry: tuple[bytes, int] | None) -> "asyncio.Future[None]":
        if self.error:
            self._generations.changed(key)
            done: asyncio.Future[None] = self._loop.create_future()
            done.set_result(None)
            return done
        if len(self._pending) >= HOT_RECORDS_MAX:
            # Otherwise the entry that does not fit would stay as it was.
            self.clear()
        else:
            self._pending[key] = entry
        self._wake.set()
        return self._flushed

    def _finish(self) -> None:
        flushed, self._flushed = self._flushed, self._loop.create_future()
        if not flushed.done():
            flushed.set_result(None)

    async def _keep_writing(self) -> None:
        while True:
            try:
                await self._redis.flushdb()
                self._generations.all_changed()
                if self.error:
                    log.info("Redis is in use")
                self.error = ""
                self._tried.set()
                while True:
                    await self._wake.wait()
                    await self._write()
            except (RedisError, OSError, TimeoutError) as error:
                if not self.error:
                    log.warning("Redis cannot be used, lookups go to the overlay: %s", error)
                self.error = str(error) or type(error).__name__
                self._pending.clear()
                self._finish()
                self._tried.set()
                await asyncio.sleep(RETRY_S)

    async def _write(self) -> None:
        self._wake.clear()
        pending, self._pending = self._pending, {}
        clearing, self._clearing = self._clearing, False
        flushed, self._flushed = self._flushed, self._loop.create_future()
        try:
            async with asyncio.timeout(2 * TIMEOUT_S):
                pipeline = self._redis.pipeline(transaction=False)
                if clearing:
                    pipeline.flushdb()
                for key, entry in pending.items():
                    if entry is None:
                        pipeline.delete(key)
                    else:
                        pipeline.set(key, entry[0], px=entry[1])
                await pipeline.execute()
            self.writes += len(pending)
        finally:
            if clearing:
                self._generations.all_changed()
            for key in pending:
                self._generations.changed(key)
            if not flushed.done():
                flushed.set_result(None)
