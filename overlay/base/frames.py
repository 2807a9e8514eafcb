"""Packs and unpacks frames: a 4-byte big-endian length and that many bytes. Links, the control
socket and enrollment use them.

In: bytes as a connection delivers them. Out: whole payloads. Counterpart: `pack`, on the other side
of the connection. A protocol of asyncio feeds a `FrameBuffer`. `receive` is for blocking code,
`read` for a stream.
"""

import time
from collections.abc import Awaitable, Callable

from overlay.base import limit_hits
from overlay.base.errors import ProtocolError
from overlay.base.limits import FRAME_HEADER_BYTES

_RECEIVE_BYTES = 65_536


def pack(payload: bytes) -> bytes:
    """The payload as a frame."""
    return len(payload).to_bytes(FRAME_HEADER_BYTES, "big") + payload


def receive(recv: Callable[[int], bytes], payload_bytes_max: int, until_s: float) -> bytes:
    """The payload of the one frame that the other side sends. `recv` is the socket's method;
    `until_s` is a time of the monotonic clock, in seconds.

    Raises `EOFError` when the connection ends before the frame does, `TimeoutError` after
    `until_s`, `ProtocolError` when the payload is too large or when more bytes follow it, and
    whatever `recv` raises.
    """
    frames = FrameBuffer(payload_bytes_max)
    while not (payloads := frames.feed(data := recv(_RECEIVE_BYTES))):
        if not data:
            raise EOFError("connection closed by the other side")
        if time.monotonic() > until_s:
            raise TimeoutError("no answer within the deadline")
    if len(payloads) > 1 or frames.begun:
        raise ProtocolError("answer to a question that was not asked")
    return payloads[0]


async def read(readexactly: Callable[[int], Awaitable[bytes]], payload_bytes_max: int) -> bytes:
    """The payload of the next frame of a stream. `readexactly` is the stream's method.

    Raises `EOFError` when the stream ends before the frame does, `ProtocolError` when the payload
    is too large.
    """
    size = int.from_bytes(await readexactly(FRAME_HEADER_BYTES), "big")
    _check(size, payload_bytes_max)
    return await readexactly(size)


class FrameBuffer:
    """Collects bytes, and hands out each payload that has become whole."""

    def __init__(self, payload_bytes_max: int, limit: str = "") -> None:
        """`limit` names the bound in `base/limits.py` under which payloads that are too large are
        counted; empty: they are not counted."""
        self._limit = limit
        self._payload_bytes_max = payload_bytes_max
        self._buffer = b""

    @property
    def begun(self) -> bool:
        """Whether the buffer contains bytes of a frame that is not whole yet."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that `data` completes. Raises `ProtocolError` when one is too large."""
        buffer = self._buffer + data if self._buffer else data
        payloads: list[bytes] = []
        start, end = 0, len(buffer)
        while end - start >= FRAME_HEADER_BYTES:
            body = start + FRAME_HEADER_BYTES
            size = int.from_bytes(buffer[start:body], "big")
            if size > self._payload_bytes_max:
                if self._limit:
                    limit_hits.hit(self._limit)
                _check(size, self._payload_bytes_max)
            if end - body < size:
                break
            payloads.append(buffer[body : body + size])
            start = body + size
        self._buffer = buffer[start:]
        return payloads


def _check(size: int, payload_bytes_max: int) -> None:
    if size > payload_bytes_max:
        raise ProtocolError(f"frame of {size} bytes; the limit is {payload_bytes_max}")
