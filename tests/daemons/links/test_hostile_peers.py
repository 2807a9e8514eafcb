"""Members that are slow, silent, or ask without end cost a bounded amount, and others are served.

Each test ends when the node has done what it must; none waits for a time.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from overlay.base.frames import pack
from overlay.base.limits import LINK_FRAME_BYTES_MAX, LINKS_PER_PEER_MAX
from overlay.identity import identity
from overlay.links import link, network, peer_codec
from overlay.links.member_messages import FindNode, Ping
from overlay.links.network import Network, hello_of
from overlay.links.peer_protocol import Ack, Failed, Hello, PeerReply
from overlay.links.record_messages import Fetched
from overlay.records.node_info import NodeInfo
from tests.daemons.farm_of_nodes import FARM, Farm, play
from tests.daemons.framed import SOON_S, answers, cut_off, hits, in_one_write
from tests.waiting import until


class Keeper:
    """A handler that keeps the requests of n2, and answers the others at once."""

    def __init__(self, answer: PeerReply | None = None) -> None:
        self.kept: list[Callable[[PeerReply], None]] = []
        self.up: list[str] = []
        self.down: list[bytes] = []
        self._answer = answer

    def peer_up(self, hello: Hello) -> None:
        self.up.append(hello.node.name)

    def peer_down(self, node_id: bytes, reason: str, left: bool) -> None:
        self.down.append(node_id)

    def request_received(
        self, sender: Hello, request: object, reply: Callable[[PeerReply], None]
    ) -> None:
        if sender.node.name != "n2":
            reply(Ack())
        elif self._answer is not None:
            reply(self._answer)
        else:
            self.kept.append(reply)


class Scene:
    """n1 listens, n3 is linked to it and honest, n2 connects as it likes."""

    def __init__(self, farm: Farm, handler: Keeper) -> None:
        self._farm = farm
        self.handler = handler
        self.one = self._network("n1")
        self.three = self._network("n3")

    def info(self, name: str) -> NodeInfo:
        config = self._farm.config(name)
        who = identity.load(config)
        return NodeInfo(node_id=who.node_id, name=name, host=who.address, port=config.overlay.port)

    def _network(self, name: str) -> Network:
        who = identity.load(self._farm.config(name))
        return Network(who, hello_of(who, self.info(name), 1, "test"))

    async def __aenter__(self) -> "Scene":
        for each, name in ((self.one, "n1"), (self.three, "n3")):
            handler = self.handler if each is self.one else Keeper()
            await each.start(handler, self.info(name).host, self.info(name).port)
        await self.three.dial(self.info("n1").host, self.info("n1").port, SOON_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert await self.serves_others()
        await self.one.stop(left=False)
        await self.three.stop(left=False)

    async def serves_others(self) -> bool:
        return isinstance(await self.three.ask(self.info("n1").node_id, Ping(), SOON_S), Ack)

    async def connect(
        self, *, hello: bool = True
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        who, to = identity.load(self._farm.config("n2")), self.info("n1")
        reader, writer = await asyncio.open_connection(
            to.host, to.port, ssl=who.client_context, server_hostname=FARM, limit=1 << 16
        )
        if hello:
            known = len(self.handler.up)
            writer.write(pack(peer_codec.encode(self.hello())))
            await until(lambda: len(self.handler.up) > known, SOON_S, "the link is up")
        return reader, writer

    def hello(self) -> Hello:
        who = identity.load(self._farm.config("n2"))
        return hello_of(who, self.info("n2"), 1, "test")


def reply_of(payload: bytes) -> PeerReply | None:
    """An answer; None for what the other end says by itself."""
    message = peer_codec.decode(payload)
    return message if isinstance(message, peer_codec.REPLIES) else None


async def replies(reader: asyncio.StreamReader, count: int) -> list[PeerReply]:
    """The next answers on a connection."""
    return await answers(reader, count, LINK_FRAME_BYTES_MAX, reply_of)


def pings(count: int) -> bytes:
    """Requests in one write."""
    return in_one_write(peer_codec.encode(Ping(id=number + 1)) for number in range(count))


def test_who_never_begins_tls_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "TLS_WITHIN_S", 0.3)

    async def story(farm: Farm) -> None:
        async with Scene(farm, Keeper()) as scene:
            to = scene.info("n1")
            reader, writer = await asyncio.open_connection(to.host, to.port)
            await cut_off(reader)
            writer.close()

    play(tmp_path, story)


@pytest.mark.parametrize("dripping", [False, True], ids=["silent", "a byte at a time"])
def test_who_does_not_finish_a_hello_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dripping: bool
) -> None:
    monkeypatch.setattr(link, "HELLO_WITHIN_S", 0.3)

    async def story(farm: Farm) -> None:
        async with Scene(farm, Keeper()) as scene:
            reader, writer = await scene.connect(hello=False)
            ended = asyncio.ensure_future(cut_off(reader))
            for byte in pack(peer_codec.encode(scene.hello()))[:-1] if dripping else b"":
                if ended.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.wait([ended], timeout=0.02)
            await ended
            assert scene.handler.up == ["n3"]
            writer.transport.abort()

    play(tmp_path, story)


def test_connections_without_a_hello_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "HANDSHAKES_MAX", 3)

    async def story(farm: Farm) -> None:
        async with Scene(farm, Keeper()) as scene:
            silent = [await scene.connect(hello=False) for _ in range(3)]
            before = hits("HANDSHAKES_MAX")
            reader, writer = await scene.connect(hello=False)
            await cut_off(reader)
            assert hits("HANDSHAKES_MAX") == before + 1
            for _, other in [*silent, (reader, writer)]:
                other.transport.abort()
            await until(lambda: not scene.one._silent, SOON_S, "they are forgotten")
            _, writer = await scene.connect()
            writer.transport.abort()

    play(tmp_path, story)


def test_one_peer_cannot_have_all_links(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        async with Scene(farm, Keeper(Ack())) as scene:
            opened = [await scene.connect(hello=False) for _ in range(3 * LINKS_PER_PEER_MAX)]
            for reader, writer in opened:
                writer.write(pack(peer_codec.encode(scene.hello())) + pings(1))
                with_answer = asyncio.ensure_future(replies(reader, 1))
                await asyncio.wait([with_answer], timeout=SOON_S)
                assert with_answer.exception() is None
            for reader, _ in opened[: -LINKS_PER_PEER_MAX - 1]:
                await cut_off(reader)
            assert len(scene.one._of_peer[scene.info("n2").node_id]) <= LINKS_PER_PEER_MAX
            for _, writer in opened:
                writer.transport.abort()

    play(tmp_path, story)


def test_who_does_not_read_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "LINK_SEND_BUFFER_BYTES_MAX", 1 << 20)
    large = Fetched(bodies=(b"x" * 500_000,), lease_ms=0)

    async def story(farm: Farm) -> None:
        async with Scene(farm, Keeper(large)) as scene:
            before = hits("LINK_SEND_BUFFER_BYTES_MAX")
            _, writer = await scene.connect()
            writer.transport.pause_reading()
            writer.write(pings(200))
            await until(lambda: len(scene.handler.down) == 1, SOON_S, "the link is broken")
            assert hits("LINK_SEND_BUFFER_BYTES_MAX") > before
            writer.transport.abort()

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("limit", "value"),
    [("REQUESTS_SERVED_PER_LINK_MAX", 10), ("REQUEST_BYTES_SERVED_PER_LINK_MAX", 29)],
)
def test_a_flood_of_requests_is_answered_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(link, limit, value)

    async def story(farm: Farm) -> None:
        async with Scene(farm, Keeper()) as scene:
            reader, writer = await scene.connect()
            writer.write(pings(500))
            busy = await replies(reader, 490)
            assert {each.code for each in busy if isinstance(each, Failed)} == {"busy"}
            assert await scene.serves_others()
            assert len(scene.handler.kept) == 10
            for reply in scene.handler.kept:
                reply(Ack())
            assert [type(each) for each in await replies(reader, 10)] == [Ack] * 10
            writer.write(pings(1))
            await until(lambda: len(scene.handler.kept) == 11, SOON_S, "it is served again")
            writer.transport.abort()

    play(tmp_path, story)


def test_an_answer_of_the_wrong_kind_is_a_failure(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        async with Scene(farm, Keeper()) as scene:
            # n1 answers all that n3 asks with `Ack`, which says nothing to this.
            asked = FindNode(target=b"t" * 20)
            answer = await scene.three.ask(scene.info("n1").node_id, asked, SOON_S)
            assert isinstance(answer, Failed)
            assert answer.code == "bad-answer"

    play(tmp_path, story)


def test_a_link_whose_other_end_is_gone_without_a_word_ends(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1")
        node, config = farm.nodes["n1"], farm.config("n2")
        who = identity.load(config)
        info = NodeInfo(node_id=who.node_id, name="n2", host=who.address, port=config.overlay.port)
        _, writer = await asyncio.open_connection(
            node.own.host, node.own.port, ssl=who.client_context, server_hostname=FARM
        )
        writer.write(pack(peer_codec.encode(hello_of(who, info, 1, "test"))))
        await until(lambda: node.network.linked(who.node_id), SOON_S, "the link is up")
        writer.transport.pause_reading()
        await until(lambda: not node.network.linked(who.node_id), SOON_S, "the link has ended")
        writer.transport.abort()

    play(tmp_path, story)
