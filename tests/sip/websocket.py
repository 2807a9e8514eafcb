"""Carries SIP over WebSocket (RFC 7118), as a browser sends it.

In: a connected socket. Out: the few methods of a socket that `ways.py` uses. Counterpart: a node's
Kamailio.
"""

import socket
from collections.abc import Sequence
from typing import Final

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

_HANDSHAKE_WITHIN_S: Final = 10.0


class WebSocketRefused(Exception):
    """The node did not take the handshake."""


class WebSocket:
    """SIP over WebSocket, as a socket: what is sent at once is one message.

    Without threads, as Python's TLS sockets are not for two at a time.
    """

    def __init__(
        self,
        below: socket.socket,
        uri: str,
        *,
        origin: str | None = None,
        protocols: Sequence[str] = ("sip",),
    ) -> None:
        self._below = below
        self._protocol = ClientProtocol(
            parse_uri(uri),
            origin=Origin(origin) if origin is not None else None,
            subprotocols=[Subprotocol(each) for each in protocols],
        )
        self._protocol.send_request(self._protocol.connect())
        below.settimeout(_HANDSHAKE_WITHIN_S)
        self._flush()
        while self._protocol.state is State.CONNECTING and not self._protocol.handshake_exc:
            self._protocol.receive_data(below.recv(65_535))
        if self._protocol.handshake_exc:
            raise WebSocketRefused(str(self._protocol.handshake_exc))
        self._frames: list[Frame] = []

    def sendall(self, data: bytes) -> None:
        """Send one message."""
        self._protocol.send_text(data)
        self._flush()

    def recv(self, _bytes_max: int) -> bytes:
        """The next message; empty when the node has closed."""
        while True:
            events = self._protocol.events_received()
            self._frames += [each for each in events if isinstance(each, Frame)]
            while self._frames:
                frame = self._frames.pop(0)
                if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
                    return bytes(frame.data)
            if self._protocol.state is not State.OPEN:
                return b""
            data = self._below.recv(65_535)
            self._protocol.receive_data(data) if data else self._protocol.receive_eof()
            self._flush()

    def settimeout(self, timeout_s: float | None) -> None:
        """How long `recv` waits."""
        self._below.settimeout(timeout_s)

    def getsockname(self) -> tuple[str, int]:
        """This end."""
        host, port, *_ = self._below.getsockname()
        return host, port

    def getpeername(self) -> tuple[str, int]:
        """The node's end."""
        host, port, *_ = self._below.getpeername()
        return host, port

    def close(self) -> None:
        """End the connection."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close()
            self._flush()
        self._below.close()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._below.sendall(data)
