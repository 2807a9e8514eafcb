"""Runs a real node that gets the messages of hostile peers and clients, beside an honest node.

In: payloads. Out: nothing if the node withstands them; an `AssertionError` that says what failed.
Counterpart: `hostile.py`, which makes the payloads.

No payload may raise an exception that only the event loop catches, or that nothing catches; be
logged as a bug; be taken for the operator's word; or keep the node from answering honest peers and
clients.
"""

import asyncio
import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from overlay.base.frames import FrameBuffer, pack
from overlay.base.limits import CONTROL_REPLY_BYTES_MAX, LINK_FRAME_BYTES_MAX
from overlay.control.operator_messages import GetStatus
from overlay.identity import identity
from overlay.links import peer_codec, peer_protocol
from overlay.links.member_messages import Ping
from overlay.links.network import hello_of
from overlay.links.peer_protocol import Hello
from overlay.records import subscriber
from overlay.records.node_info import NodeInfo
from tests.daemons.farm_of_nodes import Farm
from tests.waiting import until

ANSWERED_WITHIN_S = 10.0
_PING_ID = 1 << 40


class Bugs(logging.Handler):
    """Whatever is logged with a traceback, or reaches the loop's handler."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """A record of the log."""
        if record.exc_info:
            self.seen.append(self.format(record))

    def reached_the_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What nobody caught."""
        error = context.get("exception")
        # A peer that breaks off its handshake, or its connection, is no bug of ours.
        if not isinstance(error, OSError):
            self.seen.append(f"{context.get('message')}: {error!r}")


class HostilePeer:
    """A link as n2, enrolled and proven; what it says is up to the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._frames = FrameBuffer(LINK_FRAME_BYTES_MAX)
        self._ponged = asyncio.Event()
        self._asked: Callable[[Any], bytes | None] = lambda request: None
        self.closed = asyncio.Event()
        self._task = asyncio.ensure_future(self._listen(reader))

    def answer_with(self, asked: Callable[[Any], bytes | None]) -> None:
        """What the node asks is answered so; None: not at all."""
        self._asked = asked

    def say(self, *payloads: bytes) -> None:
        """Frames, in one write."""
        self._writer.write(b"".join(map(pack, payloads)))

    async def through(self) -> None:
        """Wait until the node has taken in what was said, or has hung up."""
        self._ponged.clear()
        self.say(peer_codec.encode(Ping(id=_PING_ID)))
        ends = [asyncio.ensure_future(each.wait()) for each in (self._ponged, self.closed)]
        done, rest = await asyncio.wait(
            ends, timeout=ANSWERED_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
        )
        for each in rest:
            each.cancel()
        assert done, "the node neither answers nor hangs up"

    async def close(self) -> None:
        """Hang up."""
        self._task.cancel()
        self._writer.transport.abort()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(1 << 16):
                for payload in self._frames.feed(data):
                    self._heard(peer_codec.decode(payload))
        except OSError:
            pass
        finally:
            self.closed.set()

    def _heard(self, message: Any) -> None:
        if isinstance(message, peer_protocol.PeerReply):
            if message.id == _PING_ID:
                self._ponged.set()
        elif not isinstance(message, Hello | peer_protocol.Goodbye):
            answer = self._asked(message)
            if answer is not None:
                self.say(answer)


class UnderFire:
    """Node n1 under fire, n3 honest beside it, n2 and the clients hostile."""

    def __init__(self, directory: Path) -> None:
        self.loop = uvloop.new_event_loop()
        self.bugs = Bugs()
        self.loop.set_exception_handler(self.bugs.reached_the_loop)
        logging.getLogger().addHandler(self.bugs)
        self.farm = Farm(directory)
        self.farm.sections["dns"] = {"enabled": True}
        self._peer: HostilePeer | None = None
        self.run(self._start())

    def run(self, story: Any) -> Any:
        """On the loop of the nodes."""
        return self.loop.run_until_complete(story)

    async def _start(self) -> None:
        await self.farm.start("n1", "n3")
        await self.farm.joined()

    def close(self) -> None:
        """Stop the nodes, and see that they had nothing to hide."""
        self.run(self._stop())
        gc.collect()
        self.run(asyncio.sleep(0))
        self.loop.close()
        logging.getLogger().removeHandler(self.bugs)
        self.no_bugs()

    async def _stop(self) -> None:
        if self._peer is not None:
            await self._peer.close()
        await self.farm.close()

    def hello(self, **lies: Any) -> Hello:
        """What n2 says first, if it is honest."""
        config = self.farm.config("n2")
        who = identity.load(config)
        info = NodeInfo(node_id=who.node_id, name="n2", host=who.address, port=config.overlay.port)
        return msgspec.structs.replace(hello_of(who, info, 1, "hostile"), **lies)

    async def connect(self) -> HostilePeer:
        """A TLS connection as n2 to n1 on which nothing was said yet."""
        config, target = self.farm.config("n2"), self.farm.nodes["n1"].own
        reader, writer = await asyncio.open_connection(
            target.host,
            target.port,
            ssl=identity.load(config).client_context,
            server_hostname=config.farm.name,
        )
        return HostilePeer(reader, writer)

    async def peer(self) -> HostilePeer:
        """The hostile peer with its link up."""
        if self._peer is None or self._peer.closed.is_set():
            if self._peer is not None:
                await self._peer.close()
            self._peer = await self.connect()
            self._peer.say(peer_codec.encode(self.hello()))
        return self._peer

    async def client(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a socket of n1: `control` or `dns`."""
        config = self.farm.nodes["n1"].config
        path = config.control_socket if name == "control" else config.dns_socket
        return await asyncio.open_unix_connection(path)

    async def send_control(self, *payloads: bytes) -> list[Any]:
        """What clients send, each on a connection of its own, and what they are answered.

        A connection that is closed instead counts as an answer: None.
        """
        return list(await asyncio.gather(*map(self._asked_for, payloads)))

    async def _asked_for(self, payload: bytes) -> Any:
        reader, writer = await self.client("control")
        frames, answers = FrameBuffer(CONTROL_REPLY_BYTES_MAX), []
        try:
            writer.write(pack(payload))
            async with asyncio.timeout(2 * ANSWERED_WITHIN_S + 30):
                while not answers and (data := await reader.read(1 << 16)):
                    answers += frames.feed(data)
        except ConnectionError:
            pass
        except TimeoutError:
            raise AssertionError(f"no answer to {payload[:200]!r}") from None
        finally:
            writer.transport.abort()
        return msgspec.msgpack.decode(answers[0]) if answers else None

    async def survives(self) -> None:
        """Whether all is well afterwards."""
        one, other = self.farm.nodes["n1"], self.farm.nodes["n3"]
        pong = await other.network.ask(one.own.node_id, Ping(), ANSWERED_WITHIN_S)
        assert isinstance(pong, peer_protocol.Ack), pong
        self.no_bugs()

    async def still_serves(self) -> None:
        """Whether clients are served, and nothing forged was let in."""
        await self.survives()
        status = await self.farm.ask("n1", GetStatus(), ANSWERED_WITHIN_S)
        assert {node.name for node in status.nodes} >= {"n1", "n3"}
        node = self.farm.nodes["n1"]
        await until(
            lambda: not any(link.served for link in node.network._open),
            ANSWERED_WITHIN_S,
            "every request of a peer is answered",
        )
        for key in node.base.subscribers.keys():  # noqa: SIM118
            body = node.base.subscribers.get(key)
            assert body is not None
            assert node.base.vetting.signed(subscriber.decode(body)), "a forged subscriber"

    def no_bugs(self) -> None:
        """What was not caught, or logged as a bug, since the last look."""
        seen, self.bugs.seen = self.bugs.seen, []
        assert not seen, "\n".join(seen[:3])
