"""PowerDNS's questions: the dialogue on the socket, and what ends it."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from overlay.base.limits import DNS_CONNECTIONS_MAX, DNS_QUESTION_BYTES_MAX
from overlay.dns import server
from overlay.dns.zone import ZoneNode, ZoneView

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
VIEW = ZoneView(farm="farm.test", nodes=(ZoneNode(name="n1", addresses=("192.0.2.1",)),))
NOBODY = ZoneView(farm="farm.test", nodes=())

Scenario = Callable[[Path], Any]


def play(scenario: Scenario, path: Path, loop: Any = asyncio.new_event_loop) -> Any:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(asyncio.wait_for(scenario(path), 20))


@asynccontextmanager
async def serving(path: Path, *views: ZoneView) -> AsyncIterator[server.DnsServer]:
    """A server that is given these views one after the other, the last of them for ever."""
    left = list(views or (VIEW,))
    running = server.DnsServer(path, lambda: left.pop(0) if len(left) > 1 else left[0])
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def ask(path: Path, *questions: Any) -> list[Any]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(b"".join(json.dumps(question).encode() + b"\n" for question in questions))
        return [json.loads(await reader.readline())["result"] for _ in questions]
    finally:
        writer.close()
        await writer.wait_closed()


def lookup(name: str, kind: str = "ANY") -> dict[str, Any]:
    # As PowerDNS 4.7.3 sends it.
    return {
        "method": "lookup",
        "parameters": {
            "local": "127.0.0.1",
            "qname": name,
            "qtype": kind,
            "real-remote": "127.0.0.1/32",
            "remote": "127.0.0.1",
            "zone-id": -1,
        },
    }


def named(method: str, name: str) -> dict[str, Any]:
    return {"method": method, "parameters": {"name": name}}


@pytest.mark.parametrize("loop", LOOPS)
def test_the_dialogue(tmp_path: Path, loop: Any) -> None:
    async def scenario(path: Path) -> None:
        async with serving(path):
            assert os.stat(path).st_mode & 0o777 == server.SOCKET_MODE
            answers = await ask(
                path,
                {"method": "initialize", "parameters": {"path": "x", "timeout": "500"}},
                lookup("farm.test.", "A"),
                lookup("none.farm.test."),
                lookup("example.com.", "SOA"),
                lookup("_udp.farm.test."),
                named("getDomainInfo", "farm.test."),
                named("getDomainInfo", "example.com."),
                {"method": "getAllDomains", "parameters": {"include_disabled": True}},
                named("getAllDomainMetadata", "farm.test."),
                named("getDomainMetadata", "farm.test."),
                {"method": "list", "parameters": {"zonename": "farm.test.", "domain_id": 1}},
                {"method": "replaceRRSet", "parameters": {}},
                {"method": "nonsense"},
            )
            information = {
                "id": 1,
                "zone": "farm.test.",
                "kind": "native",
                "serial": 1,
                "notified_serial": 1,
                "last_check": 0,
                "masters": [],
            }
            a_record = {"qname": "farm.test.", "qtype": "A", "content": "192.0.2.1", "ttl": 60}
            between = {"qname": "_udp.farm.test.", "qtype": "", "content": "", "ttl": 60}
            assert answers[:5] == [True, [a_record], False, False, [between]]
            assert answers[5:8] == [information, False, [information]]
            assert answers[8:] == [{}, [], False, False, False]

    play(scenario, tmp_path / "dns.sock", loop)
    assert os.listdir(tmp_path) == []


def test_the_last_live_nodes_are_kept(tmp_path: Path) -> None:
    async def scenario(path: Path) -> None:
        async with serving(path, NOBODY, VIEW, NOBODY):
            first, second, third = await ask(path, *[lookup("farm.test.", "A")] * 3)
            assert first is False
            assert second == third
            assert [row["content"] for row in third] == ["192.0.2.1"]

    play(scenario, tmp_path / "dns.sock")


def test_a_farm_without_nodes_is_not_claimed(tmp_path: Path) -> None:
    async def scenario(path: Path) -> None:
        async with serving(path, NOBODY):
            questions = (lookup("farm.test.", "SOA"), named("getDomainInfo", "farm.test."))
            assert await ask(path, *questions) == [False, False]
            assert await ask(path, {"method": "getAllDomains"}) == [[]]

    play(scenario, tmp_path / "dns.sock")


def test_a_question_may_come_in_pieces(tmp_path: Path) -> None:
    async def scenario(path: Path) -> None:
        async with serving(path):
            reader, writer = await asyncio.open_unix_connection(path)
            for byte in json.dumps(lookup("farm.test.", "A")).encode() + b"\n":
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            assert json.loads(await reader.readline())["result"]
            writer.close()

    play(scenario, tmp_path / "dns.sock")


HOSTILE = [
    b"\n\n{\n",
    b"null\n",
    b"[]\n",
    b'{"method": 1}\n',
    b'{"parameters": {}}\n',
    b'{"method": "lookup", "parameters": []}\n',
    b'{"method": "lookup", "parameters": {"qname": 1}}\n',
    b'{"method": "lookup", "parameters": {"qname": "\xff"}}\n',
    b"[" * 60_000 + b"\n",
    b'{"method": "' + b"x" * (DNS_QUESTION_BYTES_MAX + 1),
    b"\x00" * (DNS_QUESTION_BYTES_MAX + 1),
]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_question_ends_the_connection_alone(
    tmp_path: Path, data: bytes, loop: Any
) -> None:
    async def scenario(path: Path) -> None:
        async with serving(path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(data)
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            assert await ask(path, lookup("farm.test.", "A"))

    play(scenario, tmp_path / "dns.sock", loop)


def test_connections_are_bounded(tmp_path: Path) -> None:
    async def scenario(path: Path) -> None:
        async with serving(path):
            writers = []
            for _ in range(DNS_CONNECTIONS_MAX):
                _, writer = await asyncio.open_unix_connection(path)
                writers.append(writer)
            reader, writer = await asyncio.open_unix_connection(path)
            writers.append(writer)
            assert await reader.read() == b""
            for each in writers:
                each.close()
                await each.wait_closed()
            assert await _eventually(path)

    async def _eventually(path: Path) -> bool:
        while True:
            try:
                return bool(await ask(path, lookup("farm.test.", "A")))
            except (json.JSONDecodeError, ConnectionError):
                await asyncio.sleep(0.01)

    play(scenario, tmp_path / "dns.sock")


def test_who_does_not_read_is_not_buffered_for(tmp_path: Path) -> None:
    async def scenario(path: Path) -> None:
        async with serving(path):
            _, writer = await asyncio.open_unix_connection(path)
            block = (json.dumps(lookup("farm.test.")).encode() + b"\n") * 50
            written = 0
            try:
                while written < 64 << 20:
                    writer.write(block)
                    written += len(block)
                    await asyncio.wait_for(writer.drain(), 0.5)
            except TimeoutError:
                pass
            writer.transport.abort()
            assert written < 8 << 20

    play(scenario, tmp_path / "dns.sock")


def test_a_socket_left_behind_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "dns.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def scenario(path: Path) -> None:
        async with serving(path):
            assert await ask(path, lookup("farm.test.", "A"))

    play(scenario, path)
