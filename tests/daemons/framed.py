"""Writes and reads frames by hand, for hostile clients of the control socket and hostile peers.

In: a connection. Out: the daemon's answers on it, or that it has closed it. Counterparts:
`control/test_hostile_clients.py`, `links/test_hostile_peers.py`.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from overlay.base import limit_hits
from overlay.base.frames import FrameBuffer, pack

SOON_S: Final = 20.0
_READ_BYTES: Final = 1 << 16
_Answer = TypeVar("_Answer")


def in_one_write(payloads: Iterable[bytes]) -> bytes:
    """Frames, one behind the other."""
    return b"".join(map(pack, payloads))


async def answers(
    reader: asyncio.StreamReader,
    count: int,
    frame_bytes_max: int,
    decode: Callable[[bytes], _Answer | None],
) -> list[_Answer]:
    """At least so many answers that come next; a frame that `decode` takes for none is let go."""
    frames = FrameBuffer(frame_bytes_max)
    found: list[_Answer] = []
    async with asyncio.timeout(SOON_S):
        while len(found) < count:
            data = await reader.read(_READ_BYTES)
            assert data, "the connection was closed"
            found += [each for each in map(decode, frames.feed(data)) if each is not None]
    return found


async def cut_off(reader: asyncio.StreamReader) -> None:
    """Wait until the other end has closed; what it says before is read away."""
    try:
        async with asyncio.timeout(SOON_S):
            while await reader.read(_READ_BYTES):
                pass
    except (ConnectionError, ssl.SSLError):
        pass


def hits(limit: str) -> int:
    """How often this process has met a limit."""
    return limit_hits.counted().get(limit, 0)
