"""Makes this node's PowerDNS forget its cached answers when the zone has changed.

In: calls of `zone_changed`. Out: one command on PowerDNS's control socket, for all changes of one
turn of the loop. Counterpart: `pdns_server`, which caches whole answers for a second (`cache-ttl`).
Without the command, phones would be sent for so long to a node that is gone. A PowerDNS that does
not run has nothing to forget.
"""

import asyncio
import logging
from pathlib import Path
from typing import Final

from overlay.base import tasks
from overlay.observe.part import Part

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 1.0
_ANSWER_BYTES_MAX: Final = 1_000


class Purging(Part):
    """Purges the PowerDNS of one node."""

    def __init__(self, path: Path, farm: str) -> None:
        """`path` is PowerDNS's control socket."""
        self._path = path
        self._command = f"PURGE {farm}$\n".encode()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.failed = ""
        """Why the last command was not carried out; empty if it was."""

    async def start(self) -> None:
        """Begin to purge when `zone_changed` is called."""
        self._task = asyncio.create_task(self._keep_purging(), name="dns purging")

    async def stop(self) -> None:
        """End the task."""
        await tasks.end([self._task])

    def zone_changed(self) -> None:
        """Purge soon, as PowerDNS's cached answers may be wrong."""
        self._wake.set()

    async def _keep_purging(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            before = self.failed
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    self.failed = await self._purge()
            except (OSError, TimeoutError) as error:
                self.failed = str(error) or "no answer in time"
            if self.failed and self.failed != before:
                log.info("PowerDNS keeps its answers a second longer: %s", self.failed)

    async def _purge(self) -> str:
        """An empty text, or PowerDNS's answer if it is not the number of answers that it forgot."""
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            writer.write(self._command)
            answer = (await reader.read(_ANSWER_BYTES_MAX)).decode("utf-8", "replace").strip()
        finally:
            writer.close()
        return "" if answer.isdigit() else f"it says {answer!r}"
