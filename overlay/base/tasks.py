"""Ends background tasks, also those that miss being told.

In: tasks. Out: none of them runs. Counterparts: every `stop` and `close` of the overlay.
"""

import asyncio
from collections.abc import Iterable

AGAIN_S = 0.5
"""After this a task that still runs is cancelled once more."""


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
