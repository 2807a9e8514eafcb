"""Connects a phone to nodes: by a UDP socket, a TCP connection, TLS.

In: requests as text; the bytes that a node sends. Out: answers, to the callers that wait for them
by branch. A request of the node's is answered with 200. Counterparts: the nodes; `srv_sender.py`.
"""

import asyncio
import socket
from typing import Any, cast

from tests.sip import message
from tests.sip.framing import MessageBuffer
from tests.sip.message import Address, Message
from tests.sip.site import PhoneSite
from tests.sip.srv_lookup import Target
from tests.sip.ways import tls_context


class NoNode(Exception):
    """Nothing listens at the node, or its connection broke: the network said so."""


class Link:
    """A way to one node; `open` before each use: a connection that broke is made anew."""

    def __init__(self, site: PhoneSite, transport: str, target: Target, port: int) -> None:
        self._site, self._kind, self._target = site, transport, target
        self._port = port
        self._opening = asyncio.Lock()
        self._ended = asyncio.Event()
        self._below: asyncio.DatagramTransport | asyncio.Transport | None = None
        self._local_port = 0
        """Of the last connection: one that is breaking does not know it any more."""
        self.waiting: dict[str, asyncio.Queue[Message | NoNode]] = {}

    async def open(self, within_s: float) -> None:
        """Make the connection, if there is none; raises `NoNode`."""
        async with self._opening:
            if self._below is not None:
                return
            try:
                async with asyncio.timeout(within_s):
                    self._ended.clear()
                    self._below = await self._connected()
            except TimeoutError:
                raise NoNode("silence") from None
            except OSError as error:
                raise NoNode(f"no connection: {error.strerror or error}") from error

    def send(self, text: str) -> None:
        """Send a message; nothing happens if the connection broke, as its users are told."""
        if self._below is None:
            return
        if self._kind == "udp":
            cast(asyncio.DatagramTransport, self._below).sendto(message.encoded(text))
        else:
            cast(asyncio.Transport, self._below).write(message.encoded(text))

    async def close(self) -> None:
        """Close the socket, at once: nobody waits for anything any more."""
        if self._below is not None:
            self._below.abort()
            await self._ended.wait()

    def via(self, branch: str) -> str:
        """The Via of a request that goes this way."""
        return message.via(self._kind, f"{self._site.address}:{self._local_port}", branch)

    def received(self, came: Message) -> None:
        """A message. Answers that nobody waits for any more are let go."""
        if not came.code:
            if came.method != "ACK":
                # Alike each time, as a node that asks again has not heard the answer.
                self.send(message.response(came, 200, "OK"))
        elif came.branch in self.waiting:
            self.waiting[came.branch].put_nowait(came)

    def unreachable(self, reason: str) -> None:
        """What the network says of a node does not tell which request it is about."""
        for each in self.waiting.values():
            each.put_nowait(NoNode(reason))

    def broken(self) -> None:
        """The connection has ended, or was closed."""
        self._below = None
        self._ended.set()
        self.unreachable("the connection broke")

    async def _connected(self) -> asyncio.DatagramTransport | asyncio.Transport:
        loop = asyncio.get_running_loop()
        stream = self._kind != "udp"
        kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
        source = (self._target.address, self._target.port)
        plain = self._site.bound_socket(kind, self._port)
        try:
            await loop.sock_connect(plain, source)
            self._local_port = plain.getsockname()[1]
            if not stream:
                datagrams, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), sock=plain
                )
                return datagrams
            secured: dict[str, Any] = {}
            if self._kind == "tls":
                context = tls_context(self._site.authority)
                secured = {"ssl": context, "server_hostname": self._site.farm}
            connection, _ = await loop.create_connection(
                lambda: _Stream(self, source), sock=plain, **secured
            )
            return connection
        except BaseException:
            plain.close()
            raise


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, link: Link) -> None:
        self._link = link

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._link.received(message.parsed(data, addr))

    def error_received(self, exc: Exception) -> None:
        self._link.unreachable("nothing listens")

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.broken()


class _Stream(asyncio.Protocol):
    def __init__(self, link: Link, source: Address) -> None:
        self._link = link
        self._buffer = MessageBuffer(source)

    def data_received(self, data: bytes) -> None:
        self._buffer.feed(data)
        while (came := self._buffer.next()) is not None:
            self._link.received(came)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.broken()
