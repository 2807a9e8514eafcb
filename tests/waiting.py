"""Waits for conditions, never for time.

In: a condition. Out: nothing, or a failure that names what did not happen.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool], timeout_s: float = 30.0, what: str = "") -> None:
    """Wait for a condition; fails with its name when it does not come."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end_s:
            raise AssertionError(f"did not happen within {timeout_s:g} s: {what or condition}")
        await asyncio.sleep(0.005)


async def eventually(question: Callable[[], Awaitable[bool]], timeout_s: float = 30.0) -> None:
    """Wait until an awaited question is answered with yes."""
    end_s = time.monotonic() + timeout_s
    while not await question():
        assert time.monotonic() < end_s, f"did not happen within {timeout_s:g} s"
        await asyncio.sleep(0.02)
