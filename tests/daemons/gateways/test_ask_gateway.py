"""Gateways are asked over real sockets."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.gateways import ask_gateway
from overlay.records.gateway_answer import GatewayAnswer
from overlay.records.settings import Gateway
from tests.sip.message import answered


def config() -> Config:
    node = {"name": "n1", "address": "127.0.0.1"}
    return configuration.parse({"farm": {"name": "farm.test"}, "node": node}, "test")


class Carrier(asyncio.DatagramProtocol):
    """Answers the n-th datagram with what `script` makes of it."""

    def __init__(self, script: Callable[[int, bytes], list[bytes]]) -> None:
        self._script = script
        self.heard: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.append(data)
        for reply in self._script(len(self.heard), data):
            self._transport.sendto(reply, addr)


async def ask_udp(script: Callable[[int, bytes], list[bytes]]) -> tuple[GatewayAnswer, Carrier]:
    loop = asyncio.get_running_loop()
    transport, carrier = await loop.create_datagram_endpoint(
        lambda: Carrier(script), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    try:
        return await ask_gateway.ask(Gateway(host="127.0.0.1", port=port), config()), carrier
    finally:
        transport.close()


def test_over_udp_until_it_answers() -> None:
    def script(number: int, data: bytes) -> list[bytes]:
        return [answered(data, 100, "Trying"), answered(data, 200, "OK")] if number == 2 else []

    heard, carrier = asyncio.run(ask_udp(script))
    assert (heard.status, heard.reason) == (200, "OK")
    assert len(set(carrier.heard)) == 1


def test_silence_and_refusal_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_gateway, "ANSWER_WITHIN_S", 0.3)
    heard, _ = asyncio.run(ask_udp(lambda number, data: []))
    assert (heard.status, heard.reason) == (0, "no answer within 0.3 s")
    closed = Gateway(host="127.0.0.1", port=1, transport="tcp")
    heard = asyncio.run(ask_gateway.ask(closed, config()))
    assert heard.status == 0
    assert heard.reason


def test_over_tcp_in_pieces() -> None:
    async def story() -> GatewayAnswer:
        served = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            data = answered(await reader.readuntil(b"\r\n\r\n"), 404, "Not Here")
            writer.write(data[:20])
            await writer.drain()
            writer.write(data[20:])
            await reader.read()
            writer.close()
            await writer.wait_closed()
            served.set()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            gateway = Gateway(host="127.0.0.1", port=port, transport="tcp")
            heard = await ask_gateway.ask(gateway, config())
            await asyncio.wait_for(served.wait(), 5.0)
            return heard
        finally:
            server.close()

    heard = asyncio.run(story())
    assert (heard.status, heard.reason) == (404, "Not Here")
