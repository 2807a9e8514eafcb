"""Whatever the bytes, a decoder raises `MsgspecError` or nothing."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.base import decoding
from overlay.links import member_messages, peer_codec
from overlay.records import call, registration, subscriber


class Named(msgspec.Struct, array_like=True):
    name: str


@pytest.mark.parametrize("data", [b"\x91\xa1\xff", b"\x91" * 100_000, b"\xc1", b""])
def test_msgpack(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decoding.msgpack(Named)(data)


@pytest.mark.parametrize("data", [b'["\xff"]', b"[" * 100_000, b"", b"\0"])
def test_json(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decoding.json(Named)(data)


@given(st.binary(max_size=60))
def test_records(data: bytes) -> None:
    for decode in (call.decode, registration.decode, subscriber.decode):
        try:
            decode(data)
        except msgspec.MsgspecError:
            continue


@pytest.mark.parametrize("size", [0, 19, 21, 1000])
def test_keys_on_links_have_20_bytes(size: int) -> None:
    frame = peer_codec.encode(member_messages.FindNode(id=1, target=b"k" * size))
    with pytest.raises(msgspec.MsgspecError):
        peer_codec.decode(frame)
