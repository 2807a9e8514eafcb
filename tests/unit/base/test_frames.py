"""Frames survive any fragmentation, and have a limit."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.base import frames
from overlay.base.errors import ProtocolError
from overlay.base.frames import FrameBuffer, pack


@given(st.lists(st.binary(max_size=50), max_size=8), st.lists(st.integers(1, 30), min_size=1))
def test_payloads_come_out_as_they_went_in(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pack(payload) for payload in payloads)
    buffer, out, step = FrameBuffer(50), [], 0
    while stream:
        size = cuts[step % len(cuts)]
        out += buffer.feed(stream[:size])
        stream, step = stream[size:], step + 1
    assert out == payloads


def test_a_frame_beyond_the_limit_is_refused_before_it_is_collected() -> None:
    buffer = FrameBuffer(50)
    with pytest.raises(ProtocolError, match="51 bytes"):
        buffer.feed((51).to_bytes(4, "big"))


def received(*pieces: bytes, until_s: float = math.inf) -> bytes:
    """What blocking code gets of a connection that delivers these and ends."""
    left = list(pieces)
    return frames.receive(lambda _: left.pop(0) if left else b"", 50, until_s)


def test_blocking_code_receives_one_frame_and_nothing_else() -> None:
    frame = pack(b"answer")
    assert received(frame) == received(frame[:2], frame[2:7], frame[7:]) == b"answer"
    for pieces in ((), (frame[:-1],)):
        with pytest.raises(EOFError):
            received(*pieces)
    for surplus in (b"x", frame):
        with pytest.raises(ProtocolError, match="not asked"):
            received(frame + surplus)
    with pytest.raises(ProtocolError, match="51 bytes"):
        received(pack(b"x" * 51))
    with pytest.raises(TimeoutError):
        received(frame[:2], frame[2:], until_s=0.0)


def test_a_stream_is_read_a_frame_at_a_time() -> None:
    async def story() -> None:
        stream = asyncio.StreamReader()
        stream.feed_data(pack(b"one") + pack(b"two") + pack(b"x" * 51)[:4])
        stream.feed_eof()
        assert await frames.read(stream.readexactly, 50) == b"one"
        assert await frames.read(stream.readexactly, 50) == b"two"
        with pytest.raises(ProtocolError, match="51 bytes"):
            await frames.read(stream.readexactly, 50)
        with pytest.raises(EOFError):
            await frames.read(stream.readexactly, 50)

    asyncio.run(story())
