"""The control socket's answers to bad input, and its errors."""

import asyncio
import contextlib
import socket
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.base.errors import ProtocolError, UnavailableError
from overlay.base.frames import pack
from overlay.control import control_codec, operator_messages, proxy_messages
from overlay.control.client import ControlClient, RefusedError
from overlay.records.call import CallEvent, EventKind
from overlay.records.targets import Reach, Target, decode_targets, encode_targets
from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import register


@pytest.mark.parametrize(
    "noise",
    [
        b"\xff\xff\xff\xff",
        pack(b"\xc1"),
        pack(msgspec.msgpack.encode([250, 1, 2])),
        pack(msgspec.msgpack.encode({"aor": "x"})),
        pack(control_codec.encode(proxy_messages.Located(id=1, reach=Reach.FOUND))[:-1]),
    ],
)
def test_noise_closes_the_connection_and_nothing_else(tmp_path: Path, noise: bytes) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1")
        path = farm.nodes["n1"].config.control_socket

        def talk() -> bytes:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(str(path))
                connection.sendall(noise)
                return connection.recv(100)

        assert await asyncio.get_running_loop().run_in_executor(None, talk) == b""
        assert await farm.ask("n1", operator_messages.GetStatus())

    play(tmp_path, story)


def test_what_cannot_be_stored_is_refused_with_a_reason(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1")
        bad = CallEvent(
            kind=EventKind.START,
            event_id=b"short",
            call_id="c",
            from_tag="a",
            to_tag="b",
            time_us=1,
        )
        with pytest.raises(RefusedError, match="event") as refused:
            await farm.ask("n1", proxy_messages.WriteEvent(event=bad))
        assert refused.value.code == "bad-request"
        with pytest.raises(RefusedError, match="too long") as refused:
            await farm.ask("n1", register("a@farm.test", "sip:" + "x" * 5_000))
        assert refused.value.code == "too-large"

    play(tmp_path, story)


def test_without_a_daemon_the_client_says_so(tmp_path: Path) -> None:
    with (
        ControlClient(tmp_path / "nobody.sock") as client,
        pytest.raises(UnavailableError, match=r"nobody\.sock"),
    ):
        client.ask(operator_messages.GetStatus(), 0.2)


def test_a_late_answer_is_never_taken_for_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "slow.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with ControlClient(path) as client:
            with pytest.raises(UnavailableError):
                client.ask(proxy_messages.Locate(aor="one@farm.test"), 0.05)
            first, _ = listener.accept()
            late = proxy_messages.Located(id=1, reach=Reach.UNKNOWN)
            with contextlib.suppress(BrokenPipeError):
                first.sendall(pack(control_codec.encode(late)))
            first.close()
            with pytest.raises(UnavailableError):
                client.ask(proxy_messages.Locate(aor="two@farm.test"), 0.05)


def test_a_request_that_is_too_large_is_not_sent(tmp_path: Path) -> None:
    with (
        ControlClient(tmp_path / "nobody.sock") as client,
        pytest.raises(ProtocolError, match="too large"),
    ):
        client.ask(proxy_messages.Locate(aor="x" * 300_000), 0.2)


@given(st.lists(st.builds(Target, uri=st.text(), received=st.text(), q=st.integers(0, 1000))))
def test_targets_survive_redis_and_hold_no_nul(targets: list[Target]) -> None:
    text = encode_targets(tuple(targets))
    assert b"\0" not in text
    assert decode_targets(text) == tuple(targets)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoders_do_anything_but_refuse(data: bytes) -> None:
    for decode in (control_codec.decode_request, control_codec.decode_answer, decode_targets):
        with contextlib.suppress(msgspec.MsgspecError):
            decode(data)
