"""Starts background tasks for a part of the daemon, and ends them, even those that miss a
cancellation.

In: coroutines and tasks. Out: once `end` returns, none of them runs. Counterparts: the `stop` and
`close` methods of all parts of the overlay.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

AGAIN_S = 0.5
"""How long a cancelled task may go on before it is cancelled once more."""


class Background:
    """The tasks that one part has started. Each ends by itself, or together with the part."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many tasks run."""
        return len(self._running)

    def start(self, work: Coroutine[Any, Any, None], name: str = "") -> asyncio.Task[None]:
        """Run this as a task. If it fails, asyncio logs the exception."""
        task = asyncio.create_task(work, name=name or None)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def end(self) -> None:
        """Cancel the tasks that run, and wait until they have ended."""
        await end(self._running)


async def end(tasks: Iterable[asyncio.Task[None] | None]) -> None:
    """Cancel these tasks and wait until they have ended. Exceptions of theirs are dropped.

    One cancellation is not enough. `asyncio.wait_for` of Python 3.11, which libraries use within
    these tasks, loses a cancellation if the thing that it waits for is ready in the same turn of
    the loop. The task would then go on for ever, and so would the code that waits for its end.
    """
    running = {task for task in tasks if task is not None}
    while running:
        for task in running:
            task.cancel()
        ended, running = await asyncio.wait(running, timeout=AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()
