"""Clients of the control socket that do not read, ask without end, or never finish a request."""

import asyncio
from pathlib import Path

import pytest

from overlay.base.frames import pack
from overlay.base.limits import CONTROL_REPLY_BYTES_MAX
from overlay.control import control_codec, server
from overlay.control.control_protocol import Refused
from overlay.control.operator_messages import GetStatus
from overlay.control.proxy_messages import Locate
from overlay.daemon.node import Node
from tests.daemons.farm_of_nodes import Farm, play
from tests.daemons.framed import SOON_S, answers, hits, in_one_write
from tests.waiting import until

SENT_MAX = 200_000
"""Requests; buffers on the way hold a tenth of them."""


async def connect(node: Node) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the control socket of a node."""
    return await asyncio.open_unix_connection(node.config.control_socket)


def questions(count: int) -> bytes:
    """Requests whose answers have hundreds of bytes, and take a task each."""
    return in_one_write(
        control_codec.encode(GetStatus(id=number + 1, deadline_ms=5_000)) for number in range(count)
    )


def code_of(payload: bytes) -> str:
    """A refusal's code; empty for any other answer."""
    answer = control_codec.decode_answer(payload)
    return answer.code if isinstance(answer, Refused) else ""


async def codes(reader: asyncio.StreamReader, count: int) -> list[str]:
    """How so many requests were answered."""
    return await answers(reader, count, CONTROL_REPLY_BYTES_MAX, code_of)


def test_a_client_that_does_not_read_is_not_heard_until_it_reads(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1")
        reader, writer = await connect(farm.nodes["n1"])
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        sent, block = 0, questions(500)
        try:
            while sent < SENT_MAX:
                writer.write(block)
                sent += 500
                async with asyncio.timeout(1.0):
                    await writer.drain()
        except TimeoutError:
            pass
        # Two sockets' buffers are full and the daemon takes in no more.
        assert sent < SENT_MAX
        assert await farm.ask("n1", GetStatus())
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await codes(reader, sent)) >= sent
        writer.transport.abort()

    play(tmp_path, story)


def test_a_client_that_does_not_read_what_it_asked_for_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONTROL_SEND_BUFFER_BYTES_MAX", 70_000)

    async def story(farm: Farm) -> None:
        await farm.start("n1")
        name = "CONTROL_SEND_BUFFER_BYTES_MAX"
        before = hits(name)
        reader, writer = await connect(farm.nodes["n1"])
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(questions(5_000))
        await until(lambda: hits(name) > before, SOON_S, "cut off")
        assert await farm.ask("n1", GetStatus())
        writer.transport.abort()

    play(tmp_path, story)


def test_more_than_can_be_under_way_is_answered_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONTROL_REQUESTS_OUTSTANDING_MAX", 10)

    async def story(farm: Farm) -> None:
        await farm.start("n1")
        reader, writer = await connect(farm.nodes["n1"])
        for _ in range(2):
            writer.write(questions(50))
            answered = await codes(reader, 50)
            assert set(answered) == {"", "busy"}
            assert answered.count("") >= 10
        writer.transport.abort()

    play(tmp_path, story)


def test_half_a_request_and_connections_without_any_hold_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONTROL_CONNECTIONS_MAX", 4)

    async def story(farm: Farm) -> None:
        await farm.start("n1")
        node = farm.nodes["n1"]
        half = pack(control_codec.encode(Locate(id=1, aor="a@farm.test")))[:-1]
        idle = [await connect(node) for _ in range(4)]
        for _, writer in idle:
            writer.write(half)
        reader, writer = await connect(node)
        assert await asyncio.wait_for(reader.read(), SOON_S) == b""
        idle[0][1].transport.abort()
        await until(
            lambda: len(node.control.server.connections) == 3, SOON_S, "there is room again"
        )
        assert await farm.ask("n1", GetStatus())
        for _, each in [*idle, (reader, writer)]:
            each.transport.abort()

    play(tmp_path, story)
