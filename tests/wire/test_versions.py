"""A node of today understands the frames and databases of earlier versions."""

import asyncio
import json
import shutil
import ssl
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from overlay.base.frames import FrameBuffer, pack
from overlay.base.limits import LINK_FRAME_BYTES_MAX
from overlay.control.operator_messages import ListSubscribers, ShowCall
from overlay.control.proxy_messages import Locate
from overlay.identity import identity
from overlay.links import peer_codec, peer_protocol
from overlay.links.peer_protocol import Failed, Hello
from overlay.records.node_info import NodeInfo
from overlay.records.targets import Reach
from tests.daemons.farm_of_nodes import Farm, play

VERSIONS = sorted(path for path in Path(__file__).parent.iterdir() if path.name.startswith("v"))
ANSWERED_WITHIN_S = 5.0
EXPECTED = {
    "Ping": "Ack",
    "FindNode": "Nodes",
    "Store": "Stored",
    "Fetch": "Fetched",
    "Changed": "Ack",
    "RegisterAt": "RegisteredAt",
    "Offer": "Wanted",
    "ListCallsAt": "CallsAt",
    "ListSubscribersAt": "SubscribersAt",
    "DescribeNode": "Described",
    "StoreMany": "Ack",
    "AskRevocations": "RevocationsAre",
    "RevocationsChanged": "Ack",
    "Gossip": "Ack",
    "PingFor": "Failed",
}
"""What each request is answered with; `PingFor` names a node that nobody knows."""

pytestmark = pytest.mark.parametrize("version", VERSIONS, ids=lambda path: str(path.name))


def kept(version: Path) -> list[dict[str, Any]]:
    """The version's messages."""
    return [json.loads(line) for line in (version / "frames.jsonl").read_text().splitlines()]


def plain(value: Any) -> Any:
    """A field as JSON would have it."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, msgspec.Struct):
        return [plain(each) for each in msgspec.structs.astuple(value)]
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    return value


def same(told: Any, read: Any) -> bool:
    """Whether today's value is what was told, fields that were added since apart."""
    if isinstance(told, list) and isinstance(read, list):
        return len(told) <= len(read) and all(map(same, told, read))
    return bool(told == read)


def test_every_message_means_what_it_meant(version: Path) -> None:
    for message in kept(version):
        read = peer_codec.decode(bytes.fromhex(message["payload"]))
        assert type(read).__name__ == message["kind"]
        for name, told in message["fields"].items():
            assert same(told, plain(getattr(read, name))), (message["kind"], name)


def test_every_request_has_its_message(version: Path) -> None:
    assert {message["kind"] for message in kept(version)} >= EXPECTED.keys()


_ACK = 4
"""The tag of `Ack`, since the first version."""


class OldPeer:
    """A link to a node of today that says only what was kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = FrameBuffer(LINK_FRAME_BYTES_MAX)
        self._read: list[Any] = []

    def say(self, payload: bytes) -> None:
        """One frame."""
        self._writer.write(pack(payload))

    async def hear(self) -> Any:
        """The next frame from the other side."""
        while not self._read:
            data = await asyncio.wait_for(self._reader.read(1 << 16), ANSWERED_WITHIN_S)
            assert data, "the daemon hung up"
            self._read += [peer_codec.decode(payload) for payload in self._frames.feed(data)]
        return self._read.pop(0)

    async def answer_to(self, request_id: int) -> Any:
        """The answer to a request; what the daemon asks meanwhile is acknowledged."""
        while True:
            heard = await self.hear()
            if not isinstance(heard, peer_protocol.PeerReply):
                self.say(msgspec.msgpack.encode([_ACK, heard.id]))
            elif heard.id == request_id:
                return heard

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def link(farm: Farm, hello: bytes) -> OldPeer:
    """As n2, which is enrolled, with the Hello of then; only the node in it is n2."""
    config = farm.config("n2")
    who = identity.load(config)
    info = NodeInfo(node_id=who.node_id, name="n2", host=who.address, port=config.overlay.port)
    fields = msgspec.msgpack.decode(hello)
    fields[5] = list(msgspec.structs.astuple(info))[: len(fields[5])]
    target = farm.nodes["n1"].own
    reader, writer = await asyncio.open_connection(
        target.host, target.port, ssl=who.client_context, server_hostname=config.farm.name
    )
    peer = OldPeer(reader, writer)
    peer.say(msgspec.msgpack.encode(fields))
    assert isinstance(await peer.hear(), Hello)
    return peer


def test_a_node_of_then_is_answered_by_one_of_today(version: Path, tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        farm.config("n1")
        shutil.copy(version / "operator.pem", tmp_path / "n1" / "etc")
        await farm.start("n1")
        frames = {each["kind"]: bytes.fromhex(each["payload"]) for each in kept(version)}
        peer = await link(farm, frames["Hello"])
        for kind, expected in EXPECTED.items():
            peer.say(frames[kind])
            request_id = peer_codec.decode(frames[kind]).id
            answer = await peer.answer_to(request_id)
            assert type(answer).__name__ == expected, (kind, answer)
        # What has come since then is not asked of it, and what it does not know closes no link.
        peer.say(msgspec.msgpack.encode([250, 99, "whatever"]))
        answer = await peer.answer_to(99)
        assert isinstance(answer, Failed)
        assert answer.code == "unknown-kind"
        peer.say(frames["Ping"])
        assert isinstance(await peer.answer_to(1), peer_protocol.Ack)
        linked = farm.nodes["n1"].network
        n2 = identity.load(farm.config("n2")).node_id
        capable = peer_codec.decode(frames["Hello"]).capabilities
        for kind in peer_codec.REQUESTS:
            if kind.needs is None:
                continue
            if kind.needs in capable:
                assert kind.__name__ in frames
                continue
            required: dict[str, object] = {"digests": b"", "have": 0, "version": 0}
            required |= {"aor": "", "address": "192.0.2.1", "seconds": 1}
            required |= {"key": n2, "call": n2, "call_key": n2, "cseq": 1, "calls_max": 1}
            required |= {"claims": (), "calls": ()}
            fields = {n: v for n, v in required.items() if n in kind.__struct_fields__}
            refused = await linked.ask(n2, kind(**fields), 1.0)  # type: ignore[arg-type]
            assert isinstance(refused, Failed)
            assert refused.code == "unknown-kind"
        peer.close()

    play(tmp_path, story)


def test_a_node_opens_what_it_wrote_then(version: Path, tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        for name in ("n1", "n2"):
            farm.config(name)
            shutil.copy(version / "operator.pem", tmp_path / name / "etc")
        data = tmp_path / "n1" / "data"
        data.mkdir(parents=True)
        for database in ("records.db", "bindings.db"):
            shutil.copy(version / database, data)
        await farm.start("n1", "n2")
        await farm.joined()
        shown = await farm.ask("n2", ShowCall(call_id="call-1"))
        (record,) = shown.calls
        assert (record.state, record.duration_ms) == ("complete", 61_000)
        located = await farm.ask("n2", Locate(aor="alice@farm.test"))
        assert located.reach is Reach.FOUND
        assert located.targets[0].uri == "sip:alice@192.0.2.7:5060"
        listed = await farm.ask("n1", ListSubscribers())
        assert listed.aors == ("alice@farm.test",)

    play(tmp_path, story)


def test_versions_without_overlap_part(version: Path, tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1")
        hello = msgspec.msgpack.decode(bytes.fromhex(kept(version)[0]["payload"]))
        too_new = peer_protocol.PROTOCOL_VERSION + 1
        hello[2], hello[3] = too_new, too_new + 3
        peer = await link(farm, msgspec.msgpack.encode(hello))
        goodbye = await peer.hear()
        assert isinstance(goodbye, peer_protocol.Goodbye)
        assert f"{too_new}-{too_new + 3} there" in goodbye.reason
        peer.close()

    play(tmp_path, story)


def test_the_handshake_is_over_tls(version: Path, tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1")
        target = farm.nodes["n1"].own
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(target.host, target.port, ssl=context)
        writer.write(pack(bytes.fromhex(kept(version)[0]["payload"])))
        # Nobody without a certificate gets as much as a hello.
        with suppress(ssl.SSLError, ConnectionError):
            assert await asyncio.wait_for(reader.read(100), ANSWERED_WITHIN_S) == b""
        writer.close()

    play(tmp_path, story)
