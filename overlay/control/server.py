"""The control socket: answers the node's proxies and its CLI.

In: frames on a Unix socket. Out: one answer for each request. A request that cannot be read closes
its connection. Counterparts: `client.py`; `service.py`, which has the answers.

Requests that need no waiting are answered in the same turn of the loop. The others are answered by
tasks or callbacks, so that one slow answer holds up no other.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import cast

import msgspec

from overlay.base import limit_hits
from overlay.base.errors import (
    ForgedError,
    LimitError,
    OutdatedError,
    ProtocolError,
    SipfarmError,
    StorageError,
    UnavailableError,
)
from overlay.base.frames import FrameBuffer, pack
from overlay.base.limits import (
    CONTROL_CONNECTIONS_MAX,
    CONTROL_REPLY_BYTES_MAX,
    CONTROL_REQUEST_BYTES_MAX,
    CONTROL_REQUESTS_OUTSTANDING_MAX,
    CONTROL_SEND_BUFFER_BYTES_MAX,
)
from overlay.base.tasks import Background
from overlay.control import control_codec
from overlay.control.answering import Respond
from overlay.control.control_protocol import ControlAnswer, ControlRequest, Refused
from overlay.control.service import ControlService
from overlay.observe.metrics import Metrics
from overlay.observe.part import Part

log = logging.getLogger(__name__)

DEADLINE_DEFAULT_S = 1.0
DEADLINE_MAX_S = 30.0
SOCKET_MODE = 0o660


class ControlServer(Part):
    """Listens on the control socket."""

    def __init__(self, service: ControlService, metrics: Metrics, path: Path) -> None:
        """`path` is the path of the socket."""
        self.service = service
        self.metrics = metrics
        self.connections: set[_ControlConnection] = set()
        self.tasks = Background()
        self._server: asyncio.Server | None = None
        self._path = path

    async def start(self) -> None:
        """Listen, in the place of a socket that an earlier process left."""
        _clear(self._path)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self.connection, str(self._path))
        os.chmod(self._path, SOCKET_MODE)

    def connection(self) -> asyncio.Protocol:
        """The server's side of a new connection."""
        return _ControlConnection(self)

    async def stop(self) -> None:
        """Close every connection and end the requests under way."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.close()
        await self.tasks.end()
        if self._server is not None:
            _clear(self._path)


class _ControlConnection(asyncio.Protocol):
    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._frames = FrameBuffer(CONTROL_REQUEST_BYTES_MAX, "CONTROL_REQUEST_BYTES_MAX")
        self._transport: asyncio.Transport | None = None
        self._outstanding = 0
        self._unread = False
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._server.connections) >= CONTROL_CONNECTIONS_MAX:
            limit_hits.hit("CONTROL_CONNECTIONS_MAX")
            log.warning("refusing a control connection: %d are open", CONTROL_CONNECTIONS_MAX)
            self._transport.abort()
            return
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def pause_writing(self) -> None:
        """Stop reading while the client does not read its answers."""
        self._unread = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._unread = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._frames.feed(data):
                if self._transport is None or self._transport.is_closing():
                    return
                self._received(control_codec.decode_request(payload))
        except (msgspec.MsgspecError, ProtocolError) as error:
            log.warning("control connection closed: %s", error)
            self._server.metrics.frames_refused.inc()
            self.close()

    def _received(self, request: ControlRequest) -> None:
        began_s = self._loop.time()
        deadline_s = min(request.deadline_ms / 1000 or DEADLINE_DEFAULT_S, DEADLINE_MAX_S)
        name, request_id = type(request).__name__, request.id

        self._outstanding += 1

        def answer(result: ControlAnswer) -> None:
            self._outstanding -= 1
            self._answer(request_id, name, result, began_s)

        if self._outstanding > CONTROL_REQUESTS_OUTSTANDING_MAX:
            limit_hits.hit("CONTROL_REQUESTS_OUTSTANDING_MAX")
            reason = "too many requests are under way on this connection"
            answer(Refused(id=0, code="busy", reason=reason))
            return
        work = self._server.service.take(request, deadline_s, answer)
        if work is not None:
            self._server.tasks.start(_awaited(work, answer))

    def _answer(self, request_id: int, name: str, result: ControlAnswer, began_s: float) -> None:
        metrics = self._server.metrics
        outcome = result.code if isinstance(result, Refused) else "answered"
        metrics.answered(name, outcome, self._loop.time() - began_s)
        if self._transport is None:
            return
        payload = control_codec.encode(msgspec.structs.replace(result, id=request_id))
        if len(payload) > CONTROL_REPLY_BYTES_MAX:
            limit_hits.hit("CONTROL_REPLY_BYTES_MAX")
            reason = f"the answer has {len(payload)} bytes; ask for fewer rows"
            payload = control_codec.encode(Refused(id=request_id, code="too-large", reason=reason))
        self._transport.write(pack(payload))
        unread = self._transport.get_write_buffer_size() if self._unread else 0
        if unread > CONTROL_SEND_BUFFER_BYTES_MAX:
            limit_hits.hit("CONTROL_SEND_BUFFER_BYTES_MAX")
            log.warning("a control client does not read its answers: cut off")
            self._transport.abort()


def _clear(path: Path) -> None:
    """Remove a socket that an earlier process left at this path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)


async def _awaited(work: Awaitable[ControlAnswer], respond: Respond) -> None:
    try:
        respond(await work)
    except SipfarmError as error:
        respond(Refused(id=0, code=_code(error), reason=str(error)))
    except Exception:
        log.exception("a control request failed")
        respond(Refused(id=0, code="internal", reason="see the daemon's log"))


def _code(error: SipfarmError) -> str:
    codes = (
        (UnavailableError, "unavailable"),
        (StorageError, "storage"),
        (LimitError, "busy"),
        (ProtocolError, "bad-request"),
        (ForgedError, "forged"),
        (OutdatedError, "outdated"),
    )
    return next((code for kind, code in codes if isinstance(error, kind)), "internal")
