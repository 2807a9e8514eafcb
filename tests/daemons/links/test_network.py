"""Which nodes may link, and what happens to those that may not or that send nonsense."""

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from overlay.base.errors import SipfarmError, UnavailableError
from overlay.base.frames import pack
from overlay.base.limits import LINK_FRAME_BYTES_MAX
from overlay.config import config as configuration
from overlay.identity import ca, identity
from overlay.links import peer_codec
from overlay.links.link import Link
from overlay.links.member_messages import Ping
from overlay.links.network import Network, hello_of
from overlay.links.peer_protocol import Ack, Failed, Hello
from overlay.records.node_info import NodeInfo
from tests.daemons.farm_of_nodes import FARM, Farm, play
from tests.daemons.framed import cut_off
from tests.waiting import until


class Recorder:
    """A handler that answers every request with an Ack."""

    def __init__(self) -> None:
        self.up: list[str] = []
        self.down: list[tuple[bytes, bool]] = []
        self.requests: list[object] = []

    def peer_up(self, hello: Hello) -> None:
        self.up.append(hello.node.name)

    def peer_down(self, node_id: bytes, reason: str, left: bool) -> None:
        self.down.append((node_id, left))

    def request_received(self, sender: Hello, request: object, reply: object) -> None:
        self.requests.append(request)
        reply(Ack())  # type: ignore[operator]


def make(
    farm: Farm, name: str, claims: dict[str, object] | None = None
) -> tuple[Network, NodeInfo]:
    config = farm.config(name)
    who = identity.load(config)
    info = NodeInfo(node_id=who.node_id, name=name, host=who.address, port=config.overlay.port)
    first = msgspec.structs.replace(hello_of(who, info, 1, "test"), **(claims or {}))
    network = Network(who, first)
    farm.networks.append(network)
    return network, info


async def pair(
    farm: Farm, claims: dict[str, object] | None = None
) -> tuple[Network, Recorder, NodeInfo, Network, Recorder]:
    """n1 listening and n2 not yet linked to it, whose hello may claim something else; `play` stops
    both."""
    one, info = make(farm, "n1")
    two, other = make(farm, "n2", claims)
    first, second = Recorder(), Recorder()
    await one.start(first, info.host, info.port)
    await two.start(second, other.host, int(farm.config("n2").overlay.port))
    return one, first, info, two, second


async def shut_out(network: Network, host: str, port: int) -> bool:
    """Whether a dial ends without a link; a link may come up on the dialling side for as long as
    the other side needs to see what is wrong (TLS 1.3 lets the client finish first)."""
    try:
        hello = await network.dial(host, port, 2.0)
    except SipfarmError:
        return True
    await until(lambda: not network.linked(hello.node.node_id), 2.0, "the link is closed")
    return True


def test_requests_are_answered_and_a_goodbye_is_heard(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        one, first, info, two, second = await pair(farm)
        hello = await two.dial(info.host, info.port, 2.0)
        assert hello.node == info
        assert isinstance(await two.ask(info.node_id, Ping(), 1.0), Ack)
        await until(lambda: first.up == ["n2"])
        await one.stop(left=True)
        await until(lambda: second.down == [(info.node_id, True)])
        assert isinstance(await two.ask(info.node_id, Ping(), 1.0), Failed)

    play(tmp_path, story)


@pytest.mark.parametrize(
    "lie",
    [
        {"farm": "other.test"},
        {"node": NodeInfo(node_id=b"x" * 20, name="n2", host="127.0.7.2", port=1)},
        {"node": NodeInfo(node_id=b"", name="n2", host="127.0.7.2", port=1)},
    ],
)
def test_a_hello_that_contradicts_its_certificate_is_refused(
    tmp_path: Path, lie: dict[str, object]
) -> None:
    async def story(farm: Farm) -> None:
        _, first, info, two, _ = await pair(farm, lie)
        assert await shut_out(two, info.host, info.port)
        assert first.up == []

    play(tmp_path, story)


def test_without_a_common_version_there_is_no_link(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        _, first, info, two, _ = await pair(farm, {"version_min": 90, "version_max": 99})
        with pytest.raises(UnavailableError, match="no common protocol version"):
            await two.dial(info.host, info.port, 2.0)
        assert first.up == []

    play(tmp_path, story)


def test_a_node_of_another_ca_does_not_get_in(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        _, first, info, *_ = await pair(farm)
        ca.create(tmp_path / "foreign", FARM)
        ca.issue(tmp_path / "foreign", FARM, "n2", "127.0.7.2", tmp_path / "mallory")
        settings = farm.config("n2")
        node = msgspec.structs.replace(settings.node, identity_dir=str(tmp_path / "mallory"))
        mallory = identity.load(msgspec.structs.replace(settings, node=node))
        intruder = Network(mallory, hello_of(mallory, info, 1, "test"))
        intruder._handler = Recorder()
        assert await shut_out(intruder, info.host, info.port)
        impostor = Network(
            replace(mallory, client_context=identity.load(settings).client_context),
            hello_of(mallory, info, 1, "test"),
        )
        impostor._handler = Recorder()
        assert await shut_out(impostor, info.host, info.port)
        assert first.up == []

    play(tmp_path, story)


@pytest.mark.parametrize(
    "noise",
    [
        b"\xff\xff\xff\xff" + b"x" * 100,
        pack(b"\xc1not msgpack"),
        pack(msgspec.msgpack.encode([99, 1, 2])),
        pack(peer_codec.encode(Ping(id=1))),
        pack(b"x" * (LINK_FRAME_BYTES_MAX)),
    ],
)
def test_noise_from_a_member_closes_its_link_and_nothing_else(tmp_path: Path, noise: bytes) -> None:
    async def story(farm: Farm) -> None:
        _, first, info, two, _ = await pair(farm)
        await two.dial(info.host, info.port, 2.0)
        who = identity.load(farm.config("n2"))
        reader, writer = await asyncio.open_connection(
            info.host, info.port, ssl=who.client_context, server_hostname=FARM
        )
        writer.write(noise)
        await cut_off(reader)
        writer.close()
        assert isinstance(await two.ask(info.node_id, Ping(), 1.0), Ack)
        assert first.up == ["n2"]

    play(tmp_path, story)


def test_without_a_certificate_there_is_no_connection(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        _, first, info, two, _ = await pair(farm)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            reader, writer = await asyncio.open_connection(info.host, info.port, ssl=context)
            writer.write(pack(peer_codec.encode(two.hello())))
            assert await asyncio.wait_for(reader.read(), 5.0) == b""
            writer.close()
        except (ConnectionError, ssl.SSLError):
            pass
        assert first.up == []

    play(tmp_path, story)


def test_both_sides_may_dial_at_once_and_keep_one_link(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        one, first, info, two, second = await pair(farm)
        other = two.hello().node
        assert other.port == info.port
        await asyncio.gather(
            two.dial(info.host, info.port, 2.0), one.dial(other.host, other.port, 2.0)
        )
        for _ in range(50):
            assert isinstance(await two.ask(info.node_id, Ping(), 1.0), Ack)
            assert isinstance(await one.ask(other.node_id, Ping(), 1.0), Ack)
        assert first.down == []
        assert second.down == []

    play(tmp_path, story)


def test_a_peer_that_does_not_answer_costs_only_the_deadline(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        _, first, info, two, _ = await pair(farm)
        first.request_received = lambda *_: None  # type: ignore[method-assign]
        await two.dial(info.host, info.port, 2.0)
        reply = await two.ask(info.node_id, Ping(), 0.1)
        assert isinstance(reply, Failed)
        assert reply.reason == "no answer in time"

    play(tmp_path, story)


def test_each_request_ends_at_its_own_deadline_whatever_the_order(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        loop = asyncio.get_running_loop()
        _, first, info, two, _ = await pair(farm)
        first.request_received = lambda *_: None  # type: ignore[method-assign]
        await two.dial(info.host, info.port, 2.0)
        waits_s = (30.0, 0.2, 0.6, 0.2, 0.4)
        ended: list[tuple[float, float]] = []
        for wait_s in waits_s:
            began_s = loop.time()

            def answered(reply: object, wait_s: float = wait_s, began_s: float = began_s) -> None:
                assert isinstance(reply, Failed)
                ended.append((wait_s, loop.time() - began_s))

            two.request(info.node_id, Ping(), answered, wait_s)
        await until(lambda: len(ended) == 4, 5.0, "the short ones have ended")
        assert [wait_s for wait_s, _ in ended] == [0.2, 0.2, 0.4, 0.6]
        # uvloop counts in milliseconds.
        assert all(wait_s - 0.002 <= took_s < wait_s + 0.5 for wait_s, took_s in ended)
        await two.stop(left=False)
        assert len(ended) == 5

    play(tmp_path, story)


def test_answered_requests_leave_no_timer_that_goes_off_again(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        _, _, info, two, _ = await pair(farm)
        await two.dial(info.host, info.port, 2.0)
        looks = 0
        expire = Link._expire

        def counted(link: Link) -> None:
            nonlocal looks
            looks += 1
            expire(link)

        loop = asyncio.get_running_loop()
        began_s, deadline_s = loop.time(), 0.3
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Link, "_expire", counted)
            for _ in range(100):
                assert isinstance(await two.ask(info.node_id, Ping(), deadline_s), Ack)
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.4)
        # One a deadline, however long a busy machine takes; a timer a request would be a hundred.
        assert 1 <= looks <= (loop.time() - began_s) / deadline_s + 1

    play(tmp_path, story)


def test_the_port_is_the_configured_one(tmp_path: Path) -> None:
    config = Farm(tmp_path).config("n1")
    assert (
        configuration.parse(
            {"farm": {"name": FARM}, "node": {"name": "n1", "address": "127.0.7.1"}}, "t"
        ).overlay.port
        == 7460
    )
    assert config.overlay.port != 7460
