"""Background tasks: starts them for a part, and ends them, also those that miss being told.

In: coroutines and tasks. Out: none of them runs. Counterparts: every `stop` and `close` of the
overlay.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

AGAIN_S = 0.5
"""After this a task that still runs is cancelled once more."""


class Background:
    """The tasks that one part has started: each ends by itself, or all end with the part."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many run."""
        return len(self._running)

    def start(self, work: Coroutine[Any, Any, None], name: str = "") -> asyncio.Task[None]:
        """Run this as a task; what it fails with is asyncio's to log."""
        task = asyncio.create_task(work, name=name or None)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def end(self) -> None:
        """Cancel those that run and wait until they have ended."""
        await end(self._running)


async def end(tasks: Iterable[asyncio.Task[None] | None]) -> None:
    """Cancel them and wait until they have ended; what they failed with is dropped.

    One cancellation is not enough: `asyncio.wait_for` of Python 3.11, which libraries use within
    these tasks, loses it when what it waits for is ready in the same turn of the loop. The task
    would then go on for ever, and so would whoever waits for its end.
    """
    running = {task for task in tasks if task is not None}
    while running:
        for task in running:
            task.cancel()
        ended, running = await asyncio.wait(running, timeout=AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()
