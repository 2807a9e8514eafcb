"""A simulated host's Redis, and the daemon's way to it.

In: entries with a time to live. Out: what a proxy's GET would show. Counterpart:
`overlay.cache.projection.Projection`, in whose place `ProcessProjection` stands. Redis goes on when
the daemon dies.
"""

import asyncio
from collections.abc import Callable

from overlay.cache.projection import Projection
from tests.simulation.clock import VirtualLoop


class Redis:
    """Keys and values with an end."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._entries: dict[str, tuple[bytes, float]] = {}
        self.up = True

    def get(self, key: str) -> bytes | None:
        """What a proxy sees."""
        value, until_s = self._entries.get(key, (b"", 0.0))
        return value if self.up and until_s > self._loop.time() else None

    def put(self, key: str, entry: tuple[bytes, int] | None) -> None:
        """SET PX or DEL."""
        if entry is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = (entry[0], self._loop.time() + entry[1] / 1000)

    def flush(self) -> None:
        """FLUSHDB."""
        self._entries.clear()

    def restart(self) -> None:
        """It was away, and comes back empty."""
        self.up = True
        self.flush()


class ProcessProjection(Projection):
    """One daemon's connection."""

    DELAY_S = 0.0005

    def __init__(self, redis: Redis, loop: VirtualLoop) -> None:
        self._simulated = redis
        self._loop = loop
        self.error = "not connected yet"
        self.writes = 0
        self._last_s = 0.0

    def start(self) -> None:
        self._loop.call_later(self.DELAY_S, self._connect)

    async def tried(self) -> None:
        await asyncio.sleep(2 * self.DELAY_S)

    async def close(self) -> None:
        self.error = "closed"

    def clear(self) -> None:
        if not self.error:
            self._in_turn(self._simulated.flush)

    def _queue(self, key: str, entry: tuple[bytes, int] | None) -> "asyncio.Future[None]":
        done: asyncio.Future[None] = self._loop.create_future()
        if self.error:
            done.set_result(None)
        else:
            self._in_turn(self._put, key, entry, done)
        return done

    def _in_turn(self, work: Callable[..., None], *args: object) -> None:
        """Redis does one thing after another."""
        self._last_s = max(self._loop.time() + self.DELAY_S, self._last_s + 1e-7)
        self._loop.call_at(self._last_s, work, *args)

    def _put(self, key: str, entry: tuple[bytes, int] | None, done: "asyncio.Future[None]") -> None:
        if self._simulated.up:
            self._simulated.put(key, entry)
            self.writes += 1
        elif not self.error:
            self.error = "refused"
            self._loop.call_later(1.0, self._connect)
        if not done.done():
            done.set_result(None)

    def _connect(self) -> None:
        if self._simulated.up:
            self._simulated.flush()
            self.error = ""
        else:
            self._loop.call_later(1.0, self._connect)
