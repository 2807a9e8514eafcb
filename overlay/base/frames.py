"""Frames: a 4-byte big-endian length and that many bytes, on links and on the control socket.

In: bytes as the transport delivers them. Out: whole payloads. Counterpart: `pack`.
"""

from overlay.base import limit_hits
from overlay.base.errors import ProtocolError
from overlay.base.limits import FRAME_HEADER_BYTES


def pack(payload: bytes) -> bytes:
    """The payload as a frame."""
    return len(payload).to_bytes(FRAME_HEADER_BYTES, "big") + payload


class FrameBuffer:
    """Collects bytes and gives out the payloads that are whole."""

    def __init__(self, payload_bytes_max: int, limit: str = "") -> None:
        """`limit` names the bound in `base/limits.py`, where hits of it are to be counted."""
        self._limit = limit
        self._payload_bytes_max = payload_bytes_max
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that `data` completes; raises `ProtocolError` when one is too large."""
        buffer = self._buffer + data if self._buffer else data
        payloads: list[bytes] = []
        start, end = 0, len(buffer)
        while end - start >= FRAME_HEADER_BYTES:
            body = start + FRAME_HEADER_BYTES
            size = int.from_bytes(buffer[start:body], "big")
            if size > self._payload_bytes_max:
                if self._limit:
                    limit_hits.hit(self._limit)
                raise ProtocolError(
                    f"frame of {size} bytes; the limit is {self._payload_bytes_max}"
                )
            if end - body < size:
                break
            payloads.append(buffer[body : body + size])
            start = body + size
        self._buffer = buffer[start:]
        return payloads
