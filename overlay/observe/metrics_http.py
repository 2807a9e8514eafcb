"""/metrics, /live and /ready over HTTP/1.1, for Prometheus and for whoever starts and stops nodes.

In: GET requests. Out: the registry's figures, or 200/503 with a line of text. Counterparts:
`metrics.py` holds the figures; hooks of the daemon say whether it lives and is ready.

A request is bounded in size and time and answered on a connection of its own; nothing that is sent
here can hold up the daemon.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from overlay.base import limit_hits
from overlay.base.limits import HTTP_CONNECTIONS_MAX, HTTP_REQUEST_BYTES_MAX
from overlay.base.tasks import Background

REQUEST_TIMEOUT_S: Final = 5.0
"""For reading the request and for sending the answer, each."""
HOOK_TIMEOUT_S: Final = 3.0

_TEXT: Final = "text/plain; charset=utf-8"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What the server asks of the daemon."""

    live: Callable[[], str]
    """Why the process does not do its work at all; nothing if it does."""
    ready: Callable[[], Awaitable[tuple[str, ...]]]
    """All that keeps the node from serving calls, in a few words each; nothing if it can."""
    refresh: Sequence[Callable[[], Awaitable[None]]] = ()
    """Called before figures are shown, for those that must be fetched."""


@dataclass(frozen=True, kw_only=True)
class _Request:
    method: str
    path: str
    accept: str


@dataclass(frozen=True, kw_only=True)
class _Response:
    status: HTTPStatus
    body: bytes
    content_type: str = _TEXT

    def encode(self, *, with_body: bool) -> bytes:
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            "Cache-Control: no-store",
            "Connection: close",
        ]
        if self.status is HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET, HEAD")
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return head + self.body if with_body else head


class MetricsServer:
    """The listening socket and the requests under way."""

    def __init__(self, registry: CollectorRegistry, hooks: Hooks) -> None:
        self._registry = registry
        self._hooks = hooks
        self._listener: asyncio.AbstractServer | None = None
        self._requests = Background()

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; raises `OSError` if that cannot be had."""
        listener = await asyncio.start_server(
            self._accept, host, port, limit=HTTP_REQUEST_BYTES_MAX, backlog=HTTP_CONNECTIONS_MAX
        )
        self._listener = listener
        bound: int = listener.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening and end every request."""
        if self._listener is not None:
            self._listener.close()
        await self._requests.end()
        if self._listener is not None:
            await self._listener.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._requests) >= HTTP_CONNECTIONS_MAX:
            limit_hits.hit("HTTP_CONNECTIONS_MAX")
            writer.transport.abort()
            return
        self._requests.start(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                request = await _read(reader)
            if request is None:
                answer = _Response(status=HTTPStatus.BAD_REQUEST, body=b"bad request\n")
            else:
                answer = await self._answer(request)
            writer.write(answer.encode(with_body=request is None or request.method != "HEAD"))
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError):
            pass
        except Exception:
            _log.exception("a request for figures failed")
        finally:
            writer.transport.abort()

    async def _answer(self, request: _Request) -> _Response:
        if request.path not in ("/metrics", "/live", "/ready"):
            return _Response(status=HTTPStatus.NOT_FOUND, body=b"not found\n")
        if request.method not in ("GET", "HEAD"):
            return _Response(status=HTTPStatus.METHOD_NOT_ALLOWED, body=b"use GET\n")
        match request.path:
            case "/live":
                return _health("live", self._hooks.live())
            case "/ready":
                return _health("ready", await self._unready())
        await asyncio.gather(*(self._refresh(hook) for hook in self._hooks.refresh))
        encode, content_type = choose_encoder(request.accept)
        return _Response(
            status=HTTPStatus.OK, body=encode(self._registry), content_type=content_type
        )

    async def _unready(self) -> str:
        try:
            async with asyncio.timeout(HOOK_TIMEOUT_S):
                return "; ".join(await self._hooks.ready())
        except TimeoutError:
            return "no answer in time"

    async def _refresh(self, hook: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(HOOK_TIMEOUT_S):
                await hook()
        except TimeoutError:
            _log.warning("figures are old: their source did not answer in time")


def _health(word: str, reason: str) -> _Response:
    if not reason:
        return _Response(status=HTTPStatus.OK, body=f"{word}\n".encode())
    body = f"not {word}: {reason}\n".encode()
    return _Response(status=HTTPStatus.SERVICE_UNAVAILABLE, body=body)


async def _read(reader: asyncio.StreamReader) -> _Request | None:
    """The request; None if it is not one, or too large (RFC 9112 sections 3 and 5)."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    start, *fields = head.decode("latin-1").split("\r\n")
    parts = start.split(" ")
    if len(parts) != 3 or not parts[0].isalpha() or parts[2] not in ("HTTP/1.0", "HTTP/1.1"):
        return None
    accepts = (
        value.strip()
        for name, colon, value in (field.partition(":") for field in fields)
        if colon and name.lower() == "accept"
    )
    return _Request(method=parts[0], path=parts[1].partition("?")[0], accept=", ".join(accepts))
