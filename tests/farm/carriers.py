"""Connections of a raw phone that are more than a TCP socket.

In: a connected socket. Out: the same few methods of a socket, with TLS or WebSocket (RFC 7118)
below them. Counterpart: `raw_phone.py`.
"""

import socket
import ssl
from pathlib import Path
from typing import Final

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

_HANDSHAKE_WITHIN_S: Final = 10.0


def over_tls(plain: socket.socket, farm: str, authority: Path) -> ssl.SSLSocket:
    """TLS with a node that proves to be of the farm, by a certificate of this CA."""
    context = ssl.create_default_context(cafile=str(authority))
    plain.settimeout(_HANDSHAKE_WITHIN_S)
    return context.wrap_socket(plain, server_hostname=farm)


class WebSocket:
    """SIP over WebSocket, as a socket: what is sent at once is one message."""

    def __init__(self, below: socket.socket, uri: str, *, origin: str = "") -> None:
        self._below = below
        self._addresses = (below.getsockname(), below.getpeername())
        # For wss, the socket speaks TLS already.
        uri = uri.replace("wss://", "ws://")
        self._socket: ClientConnection = connect(
            uri,
            sock=below,
            subprotocols=[Subprotocol("sip")],
            additional_headers={"Origin": origin} if origin else None,
            open_timeout=_HANDSHAKE_WITHIN_S,
            close_timeout=1,
            proxy=None,
        )
        self._timeout_s: float | None = None

    def sendall(self, data: bytes) -> None:
        """Send one message."""
        self._socket.send(data.decode())

    def recv(self, _bytes_max: int) -> bytes:
        """The next message; empty when the node has closed."""
        try:
            got = self._socket.recv(self._timeout_s)
        except ConnectionClosed:
            return b""
        return got.encode() if isinstance(got, str) else got

    def settimeout(self, timeout_s: float | None) -> None:
        """How long `recv` waits."""
        self._timeout_s = timeout_s

    def getsockname(self) -> tuple[str, int]:
        """This end."""
        return self._addresses[0]  # type: ignore[no-any-return]

    def getpeername(self) -> tuple[str, int]:
        """The node's end."""
        return self._addresses[1]  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the connection."""
        self._socket.close()
