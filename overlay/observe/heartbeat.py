"""Whether the daemon works: its loop turns, and what it writes comes through.

In: a way through the commit path. Out: how long ago the last beat was; a word for each.
Counterparts: `/live`; whoever restarts a daemon that hangs, told by `beaten`.

A beat is made by the loop and goes behind all that waits for the disk, through the thread that
writes, and back: a loop that stands still makes none, and neither does a disk or a thread that
never comes back. A disk that says no is no reason to be restarted: the node says so elsewhere, and
serves what needs no disk.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from overlay.base import tasks
from overlay.base.errors import StorageError

EVERY_S: Final = 2.0
LIVE_S: Final = 10.0
"""A daemon without a beat for so long does not work. A disk may take seconds for a sync."""


class Heartbeat:
    """One daemon's."""

    def __init__(
        self,
        round_trip: Callable[[], Awaitable[None]],
        beaten: Callable[[], None] = lambda: None,
        *,
        every_s: float = EVERY_S,
        live_s: float = LIVE_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`round_trip` goes through the commit path and may raise `StorageError`; `beaten` is
        called after each beat."""
        self._round_trip = round_trip
        self._beaten = beaten
        self._every_s = every_s
        self._live_s = live_s
        self._now_s = now_s
        self._last_s = now_s()
        self._task: asyncio.Task[None] | None = None

    @property
    def age_s(self) -> float:
        """How long ago the last beat was, or the start."""
        return self._now_s() - self._last_s

    def check(self) -> str:
        """Why the daemon does not count as live; nothing if it does."""
        age_s = self.age_s
        return "" if age_s < self._live_s else f"nothing was committed for {age_s:.0f} s"

    async def beat(self) -> None:
        """One beat; does not return before it is through."""
        with suppress(StorageError):
            await self._round_trip()
        self._last_s = self._now_s()
        self._beaten()

    def start(self) -> None:
        """Beat until `stop`."""
        self._task = asyncio.create_task(self._keep_beating(), name="heartbeat")

    async def stop(self) -> None:
        """Beat no more."""
        await tasks.end([self._task])

    async def _keep_beating(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(self._every_s)
