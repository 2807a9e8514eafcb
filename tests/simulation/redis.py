"""Simulates a host's Redis, and the daemon's way to it.

In: entries with a time to live. Out: the answer to a proxy's GET. Counterpart:
`overlay.cache.projection.Projection`, which `ProcessProjection` replaces. This Redis goes on when
the daemon dies.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from overlay.cache.generations import Generations
from overlay.cache.projection import Projection
from overlay.records.targets import CachedTargets, Target, decode_cached
from proxy.kept_targets import KeptTargets
from tests.simulation.clock import VirtualLoop


class Redis:
    """Keys and values with an end."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._entries: dict[str, tuple[bytes, float]] = {}
        self.up = True
        self.generations = Generations()

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
        self._generations = redis.generations
        self._loop = loop
        self.error = "not connected yet"
        self.writes = 0
        self._last_s = 0.0

    async def start(self) -> None:
        self._loop.call_later(self.DELAY_S, self._connect)

    async def tried(self) -> None:
        await asyncio.sleep(2 * self.DELAY_S)

    async def stop(self) -> None:
        self.error = "closed"

    def clear(self) -> None:
        self._generations.all_changed()
        if not self.error:
            self._in_turn(self._flush)

    def _queue(self, key: str, entry: tuple[bytes, int] | None) -> "asyncio.Future[None]":
        done: asyncio.Future[None] = self._loop.create_future()
        if self.error:
            self._generations.changed(key)
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
        self._generations.changed(key)
        if not done.done():
            done.set_result(None)

    def _flush(self) -> None:
        self._simulated.flush()
        self._generations.all_changed()

    def _connect(self) -> None:
        if self._simulated.up:
            self._flush()
            self.error = ""
        else:
            self._loop.call_later(1.0, self._connect)


class ProcessTargets(KeptTargets):
    """What one of the host's proxy workers keeps of it."""

    def __init__(self, redis: Redis, loop: VirtualLoop) -> None:
        super().__init__(Path(), loop.time)
        self._redis = redis

    def read(self, key: str) -> tuple[Target, ...] | None:
        """What the worker sends a call to; None if it has to ask the daemon."""
        if kept := self.get(key):
            return kept
        mark = self.mark(key)
        shown = self._redis.get(key)
        if shown is None:
            return None
        found: CachedTargets = decode_cached(shown)
        return self.keep(key, mark, found) or None

    def _look(self) -> None:
        self._numbers = self._redis.generations.numbers
