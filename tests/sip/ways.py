"""Carries one phone's messages over a UDP socket, or a connection to one node. Blocking.

In: a socket, bytes. Out: bytes, messages. Counterparts: `phone.py`; `links.py`, which does the same
for asyncio.
"""

import socket
import ssl
from pathlib import Path
from typing import Final, Protocol

from tests.sip.framing import MessageBuffer
from tests.sip.message import Address, Message, parsed
from tests.sip.websocket import WebSocket

_DATAGRAM: Final = 65_535
_HANDSHAKE_WITHIN_S: Final = 10.0
_SHORTEST_S: Final = 0.001
"""A socket takes zero for "do not wait"."""


class Way(Protocol):
    """What a phone sends and hears by."""

    transport: str
    """udp, tcp, tls, ws or wss."""
    here: Address
    reliable: bool
    """Whether it delivers by itself what it was given once."""

    def send(self, data: bytes, to: Address) -> None:
        """Send these bytes; on a connection they go to the one node it leads to."""

    def receive(self, timeout_s: float) -> Message:
        """The next message; raises `TimeoutError`, or `ConnectionError` if the node has closed."""

    def receive_bytes(self, timeout_s: float) -> bytes:
        """What comes next, as it is."""

    def close(self) -> None:
        """Close the socket."""


class Datagrams:
    """A UDP socket, which is bound."""

    transport = "udp"
    reliable = False

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        self.here: Address = bound.getsockname()[:2]

    def send(self, data: bytes, to: Address) -> None:
        """Send a datagram."""
        self._socket.sendto(data, to)

    def receive(self, timeout_s: float) -> Message:
        """The next datagram, as a message."""
        self._socket.settimeout(max(_SHORTEST_S, timeout_s))
        data, source = self._socket.recvfrom(_DATAGRAM)
        return parsed(data, source[:2])

    def receive_bytes(self, timeout_s: float) -> bytes:
        """The next datagram."""
        self._socket.settimeout(max(_SHORTEST_S, timeout_s))
        return self._socket.recv(_DATAGRAM)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Connection:
    """A connection to a node, or from one."""

    reliable = True

    def __init__(self, connected: socket.socket | WebSocket, transport: str) -> None:
        self._socket, self.transport = connected, transport
        self.here: Address = connected.getsockname()[:2]
        self._buffer = MessageBuffer(connected.getpeername()[:2])

    def send(self, data: bytes, to: Address) -> None:
        """Send bytes to the node at the other end, wherever `to` is."""
        self._socket.sendall(data)

    def receive(self, timeout_s: float) -> Message:
        """The next message."""
        self._socket.settimeout(max(_SHORTEST_S, timeout_s))
        while (message := self._buffer.next()) is None:
            data = self._socket.recv(_DATAGRAM)
            if not data:
                raise ConnectionError("the node closed the connection")
            self._buffer.feed(data)
        return message

    def receive_bytes(self, timeout_s: float) -> bytes:
        """What comes next; empty when the node has closed."""
        self._socket.settimeout(max(_SHORTEST_S, timeout_s))
        return self._socket.recv(_DATAGRAM)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def tls_context(authority: Path) -> ssl.SSLContext:
    """What trusts certificates of this CA alone."""
    return ssl.create_default_context(cafile=str(authority))


def over_tls(plain: socket.socket, farm: str, authority: Path) -> ssl.SSLSocket:
    """TLS with a node that proves to be of the farm, by a certificate of this CA."""
    plain.settimeout(_HANDSHAKE_WITHIN_S)
    return tls_context(authority).wrap_socket(plain, server_hostname=farm)


def uri_transport(transport: str) -> str:
    """The transport as URIs name it: that it is encrypted, WebSocket does not say (RFC 7118 5)."""
    return "ws" if transport == "wss" else transport
