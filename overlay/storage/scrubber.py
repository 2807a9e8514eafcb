"""Checks, slowly and again and again, whether records in memory are still on disk as they were
written.

In: registrations and subscribers in memory. Out: rows that had rotted or were missing, written
again. Counterparts: `bindings.py`, `subscribers.py`. Call events are not kept in memory: repair
reads every one of them at each of its passes, and fetches a rotten one from other replicas.
"""

import asyncio
import logging
from typing import Final

from overlay.base import tasks
from overlay.base.errors import SipfarmError
from overlay.observe.part import Part
from overlay.records import subscriber
from overlay.storage.bindings import Bindings
from overlay.storage.committer import Committer
from overlay.storage.rows import SubscriberRow
from overlay.storage.subscribers import StoredSubscribers

log = logging.getLogger(__name__)

SLICE_ROWS: Final = 500
PAUSE_S: Final = 1.0
"""The pause between two slices. With it, a million rows take half an hour."""
INTERVAL_S: Final = 3_600.0
"""The pause between two passes."""
LOOK_S: Final = 5.0
"""How soon a pass begins after a file was rebuilt."""


class Scrubber(Part):
    """The scrubber of one node."""

    def __init__(
        self, bindings: Bindings, subscribers: StoredSubscribers, committer: Committer
    ) -> None:
        self._bindings = bindings
        self._subscribers = subscribers
        self._committer = committer
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin the first pass."""
        self._task = asyncio.create_task(self._keep_scrubbing(), name="scrubber")

    async def stop(self) -> None:
        """End the task."""
        await tasks.end([self._task])

    async def scrub(self, pause_s: float = PAUSE_S) -> None:
        """Make one pass. Raises `SipfarmError`."""
        keys = self._subscribers.keys()
        for begin in range(0, len(keys), SLICE_ROWS):
            await self._scrub_subscribers(keys[begin : begin + SLICE_ROWS])
            await asyncio.sleep(pause_s)
        after = await self._bindings.scrub(b"", SLICE_ROWS)
        while after:
            await asyncio.sleep(pause_s)
            after = await self._bindings.scrub(after, SLICE_ROWS)

    async def _keep_scrubbing(self) -> None:
        while True:
            await self._pause()
            try:
                await self.scrub()
            except SipfarmError as error:
                log.error("the disk cannot be looked through: %s", error)

    async def _pause(self) -> None:
        """Wait until the next pass is due, or until a file was rebuilt from what could be read of
        it."""
        rebuilt = self._committer.damage.rebuilt
        for _ in range(round(INTERVAL_S / LOOK_S)):
            await asyncio.sleep(LOOK_S)
            if self._committer.damage.rebuilt != rebuilt:
                return

    async def _scrub_subscribers(self, keys: list[bytes]) -> None:
        for key in await self._committer.read(lambda db: db.unsound_subscribers(keys)):
            body = self._subscribers.get(key)
            if body is not None:
                row = SubscriberRow(key=key, aor=subscriber.decode(body).aor, body=body)
                await self._committer.commit_wait(row)
