"""Frames survive any fragmentation, and have a limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
