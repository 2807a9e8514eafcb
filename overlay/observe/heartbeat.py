"""Whether the daemon works: its loop turns, and its writes come through.

In: a round trip through the commit path. Out: the age of the last beat, and a call after each beat.
Counterparts: `/live`, which shows the age; systemd's watchdog, which restarts a daemon that hangs,
and which `beaten` tells of each beat.

The loop makes a beat. The beat queues behind all that waits for the disk, goes through the thread
that writes, and comes back. So there are no beats when the loop stands still, or when the disk or
the thread hangs. A disk that returns an error is no reason for a restart: the node reports it
elsewhere, and serves whatever needs no disk.
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
"""Without a beat for so long, the daemon does not count as live. A disk may take seconds for a
sync."""


class Heartbeat:
    """The heartbeat of one daemon."""

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
        """Seconds since the last beat; before the first one, since the start."""
        return self._now_s() - self._last_s

    def check(self) -> str:
        """The reason why the daemon does not count as live; an empty text if it does."""
        age_s = self.age_s
        return "" if age_s < self._live_s else f"nothing was committed for {age_s:.0f} s"

    async def beat(self) -> None:
        """Make one beat, and return when it is through."""
        with suppress(StorageError):
            await self._round_trip()
        self._last_s = self._now_s()
        self._beaten()

    def start(self) -> None:
        """Beat until `stop`."""
        self._task = asyncio.create_task(self._keep_beating(), name="heartbeat")

    async def stop(self) -> None:
        """Stop beating."""
        await tasks.end([self._task])

    async def _keep_beating(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(self._every_s)
