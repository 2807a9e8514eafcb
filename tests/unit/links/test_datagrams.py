"""Pings beside the links: senders with the keys get an answer, and no others."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from overlay.base import limit_hits
from overlay.links import datagrams
from overlay.links.datagrams import Datagrams
from overlay.records.node_info import NodeInfo
from tests.waiting import until

IDS = (b"1" * 20, b"2" * 20)


class Pair:
    """Two ends on loopback that gave each other keys, and a stranger's socket."""

    def __init__(self) -> None:
        self.ends: list[Datagrams] = []
        self.infos: list[NodeInfo] = []
        self.packets: list[bytes] = []
        """What the second end received."""
        self.stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.answers = 0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for number, node_id in enumerate(IDS):
            end = Datagrams(node_id, bytes([number]) * 32)
            transport, _ = await loop.create_datagram_endpoint(
                lambda end=end: end, local_addr=("127.0.0.1", 0)
            )
            port = transport.get_extra_info("sockname")[1]
            self.ends.append(end)
            self.infos.append(NodeInfo(node_id=node_id, name="n", host="127.0.0.1", port=port))
        received = self.ends[1].datagram_received

        def noted(data: bytes, addr: object) -> None:
            self.packets.append(data)
            received(data, addr)

        self.ends[1].datagram_received = noted  # type: ignore[method-assign]
        self.exchange()

    def exchange(self) -> None:
        """As on the link."""
        one, two = self.ends
        one.learn(self.infos[1], two.key_for(IDS[0]))
        two.learn(self.infos[0], one.key_for(IDS[1]))

    def close(self) -> None:
        self.stranger.close()
        for end in self.ends:
            end.close()

    def count(self) -> None:
        self.answers += 1

    def ping(self, timeout_s: float = 10.0) -> None:
        self.ends[0].ping(IDS[1], self.count, timeout_s)

    async def pinged(self) -> None:
        """A ping and its answer: whatever was sent before it has been read."""
        before = self.answers
        self.ping()
        await until(lambda: self.answers == before + 1, what="the ping is answered")

    def send(self, data: bytes, end: int = 1) -> None:
        self.stranger.sendto(data, ("127.0.0.1", self.infos[end].port))


def play(story: Callable[[Pair], Awaitable[None]]) -> None:
    async def run() -> None:
        pair = Pair()
        await pair.open()
        try:
            await story(pair)
        finally:
            pair.close()

    asyncio.run(run())


def test_a_ping_is_answered_once() -> None:
    async def story(pair: Pair) -> None:
        await pair.pinged()
        await pair.pinged()
        assert pair.answers == 2

    play(story)


def test_nobody_without_the_key_is_answered_or_believed() -> None:
    async def story(pair: Pair) -> None:
        await pair.pinged()
        (genuine,) = pair.packets
        sent: list[Any] = []
        send = pair.ends[1]._send
        pair.ends[1]._send = lambda *what: (sent.append(what), send(*what))[1]  # type: ignore[func-returns-value, method-assign]
        for place in range(len(genuine)):
            pair.send(genuine[:place] + bytes([genuine[place] ^ 1]) + genuine[place + 1 :])
        for noise in (b"", b"\0", genuine[:-1], genuine + b"\0", bytes(45), b"\xff" * 9_000):
            pair.send(noise)
        # Back to who sent it, as if it were the other's.
        pair.send(genuine, end=0)
        pair.send(b"\x02" + genuine[1:], end=0)
        await pair.pinged()
        assert len(sent) == 1
        assert pair.answers == 2

    play(story)


def test_a_recorded_answer_is_worth_nothing() -> None:
    async def story(pair: Pair) -> None:
        heard: list[bytes] = []
        received = pair.ends[0].datagram_received
        pair.ends[0].datagram_received = lambda data, addr: (  # type: ignore[method-assign]
            heard.append(data),
            received(data, addr),
        )[1]
        await pair.pinged()
        pair.send(heard[0], end=0)
        await pair.pinged()
        assert pair.answers == 2

    play(story)


def test_an_answer_that_comes_too_late_does_not_count() -> None:
    async def story(pair: Pair) -> None:
        pair.ping(timeout_s=0.0)
        await until(lambda: bool(pair.packets), what="it arrived")
        await pair.pinged()
        assert pair.answers == 1
        assert not pair.ends[0]._waiting

    play(story)


def test_a_restarted_peer_answers_when_keys_were_exchanged_anew() -> None:
    async def story(pair: Pair) -> None:
        pair.ends[1]._secret = b"anew" * 8
        pair.ping()
        await until(lambda: bool(pair.packets), what="it arrived")
        pair.exchange()
        await pair.pinged()
        assert pair.answers == 1

    play(story)


def test_more_than_members_send_goes_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pair: Pair) -> None:
        monkeypatch.setattr(datagrams, "DATAGRAMS_PER_S_MAX", 3)
        before = limit_hits.counted().get("DATAGRAMS_PER_S_MAX", 0)

        async def limited() -> bool:
            for _ in range(20):
                pair.send(b"noise")
            await asyncio.sleep(0)
            return limit_hits.counted().get("DATAGRAMS_PER_S_MAX", 0) > before

        async with asyncio.timeout(20):
            while not await limited():
                pass
        monkeypatch.undo()
        await pair.pinged()

    play(story)


def test_members_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pair: Pair) -> None:
        monkeypatch.setattr(datagrams, "MEMBERS_MAX", 3)
        for number in range(10):
            info = NodeInfo(node_id=bytes([number]) * 20, name="n", host="::1", port=1)
            pair.ends[0].learn(info, bytes(32))
        assert len(pair.ends[0]._peers) == 3
        # An address of a family that this end has no socket of is no error.
        pair.ends[0].ping(info.node_id, pair.count, 1.0)
        pair.exchange()
        await pair.pinged()

    play(story)


def test_of_the_pings_that_wait_the_oldest_alone_are_looked_at() -> None:
    async def story(pair: Pair) -> None:
        waiting = pair.ends[0]._waiting
        now_s = asyncio.get_running_loop().time()
        for number in range(1_000):
            until_s = now_s + 60.0 if number < 10 else now_s
            waiting[number.to_bytes(9, "big")] = (b"", lambda: None, until_s)
        await pair.pinged()
        assert len(waiting) == 1_000
        for number in range(10):
            del waiting[number.to_bytes(9, "big")]
        await pair.pinged()
        assert not waiting

    play(story)
