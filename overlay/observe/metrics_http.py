"""/metrics, /live, /ready and /sd over HTTP, for Prometheus and for programs that start and stop
nodes.

In: GET requests. Out: the registry's figures, a line of text with 200 or 503, or the farm's
targets. Counterparts: `metrics.py` holds the figures, `overlay.membership.scrape_targets` the
targets; hooks of the daemon tell whether it lives and is ready. aiohttp speaks HTTP.

Requests are bounded in size and time, and connections in number, both in all and for each source.
So no request can hold up the daemon or keep others out.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from overlay.base import limit_hits
from overlay.base.limits import (
    HTTP_CONNECTIONS_MAX,
    HTTP_CONNECTIONS_PER_SOURCE_MAX,
    HTTP_FIELDS_MAX,
    HTTP_LINE_BYTES_MAX,
)

IDLE_S: Final = 75.0
"""A connection without a whole request for so long is closed. Prometheus asks every 15 to 60 s and
keeps its connection."""
SEND_TIMEOUT_S: Final = 5.0
HOOK_TIMEOUT_S: Final = 3.0
_END_S: Final = 0.01
"""Time for the requests under way when the daemon stops; then they are cancelled."""

_TEXT: Final = "text/plain; charset=utf-8"
_METHODS: Final = (hdrs.METH_GET, hdrs.METH_HEAD)
_log = logging.getLogger(__name__)
_library_log = logging.getLogger(f"{__name__}.aiohttp")
"""The library's log is off, as anybody can fill it by sending nonsense."""
_library_log.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What the server asks the daemon."""

    live: Callable[[], str]
    """Returns the reason why the process does not work at all; an empty text if it works."""
    ready: Callable[[], Awaitable[tuple[str, ...]]]
    """Returns all reasons why the node cannot serve calls, in a few words each; empty if it can."""
    targets: Callable[[], Awaitable[Sequence[Any]]]
    """Returns the farm's nodes, as Prometheus' `http_sd_configs` takes them."""
    refresh: Sequence[Callable[[], Awaitable[None]]] = ()
    """Called before figures are shown, to fetch those that come from elsewhere."""


class MetricsServer:
    """The listening socket and the connections to it."""

    def __init__(self, registry: CollectorRegistry, hooks: Hooks) -> None:
        self._registry = registry
        self._hooks = hooks
        self._pages = {
            "/live": self._live,
            "/ready": self._ready,
            "/metrics": self._metrics,
            "/sd": self._targets,
        }
        self._door: _Door | None = None
        self._listener: asyncio.AbstractServer | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; raises `OSError` if the port cannot be had."""
        self._door = _Door(
            self._serve,
            handler_cancellation=True,
            access_log=None,
            logger=_library_log,
            keepalive_timeout=IDLE_S,
            # Requests here have no body. A connection that sends one is closed at once.
            lingering_time=0,
            max_line_size=HTTP_LINE_BYTES_MAX,
            max_field_size=HTTP_LINE_BYTES_MAX,
            max_headers=HTTP_FIELDS_MAX,
        )
        self._listener = await asyncio.get_running_loop().create_server(
            self._door, host, port, backlog=HTTP_CONNECTIONS_MAX
        )
        bound: int = self._listener.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening and end every request."""
        if self._listener is not None:
            self._listener.close()
        if self._door is not None:
            await self._door.end()
        if self._listener is not None:
            await self._listener.wait_closed()

    @property
    def connections(self) -> int:
        """The number of connections."""
        return len(self._door.connections) if self._door is not None else 0

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._answer(request)
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            # The client does not read the answer.
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        page = self._pages.get(request.path)
        if page is None:
            return _text(HTTPStatus.NOT_FOUND, "not found")
        if request.method not in _METHODS:
            refusal = _text(HTTPStatus.METHOD_NOT_ALLOWED, "use GET")
            refusal.headers[hdrs.ALLOW] = ", ".join(_METHODS)
            return refusal
        try:
            return await page(request)
        except Exception:
            _log.exception("a request for %s failed", request.path)
            return _text(HTTPStatus.INTERNAL_SERVER_ERROR, "an error of the node: see its log")

    async def _live(self, _request: web.BaseRequest) -> web.Response:
        return _health("live", self._hooks.live())

    async def _ready(self, _request: web.BaseRequest) -> web.Response:
        try:
            async with asyncio.timeout(HOOK_TIMEOUT_S):
                reasons = await self._hooks.ready()
        except TimeoutError:
            reasons = ("no answer in time",)
        return _health("ready", "; ".join(reasons))

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        await asyncio.gather(*(self._refresh(hook) for hook in self._hooks.refresh))
        encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        return _response(HTTPStatus.OK, encode(self._registry), content_type)

    async def _targets(self, _request: web.BaseRequest) -> web.Response:
        targets = msgspec.json.encode(await self._hooks.targets())
        return _response(HTTPStatus.OK, targets, "application/json")

    async def _refresh(self, hook: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(HOOK_TIMEOUT_S):
                await hook()
        except TimeoutError:
            _log.warning("figures are old: their source did not answer in time")


class _Door(web.Server):
    """aiohttp's server, with a bound on the connections of each source and of all sources."""

    def __init__(self, handler: Any, **settings: Any) -> None:
        super().__init__(handler, **settings)
        self._sources: Counter[str] = Counter()
        self._source_of: dict[web.RequestHandler, str] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Count the connection, or close it if there are too many."""
        super().connection_made(handler, transport)
        peer = transport.get_extra_info("peername")
        source = str(peer[0]) if peer else ""
        if self._sources[source] >= HTTP_CONNECTIONS_PER_SOURCE_MAX:
            limit_hits.hit("HTTP_CONNECTIONS_PER_SOURCE_MAX")
            transport.abort()
        elif len(self._source_of) >= HTTP_CONNECTIONS_MAX:
            limit_hits.hit("HTTP_CONNECTIONS_MAX")
            transport.abort()
        else:
            self._source_of[handler] = source
            self._sources[source] += 1

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Make room for another connection."""
        source = self._source_of.pop(handler, None)
        if source is not None:
            self._sources[source] -= 1
            if not self._sources[source]:
                del self._sources[source]
        super().connection_lost(handler, exc)

    async def end(self) -> None:
        """Break off every connection, even with a request under way."""
        for handler in self.connections:
            if handler.transport is not None:
                handler.transport.abort()
        await self.shutdown(_END_S)


def _response(status: HTTPStatus, body: bytes, content_type: str) -> web.Response:
    headers = {
        hdrs.CONTENT_TYPE: content_type,
        hdrs.CACHE_CONTROL: "no-store",
        # Otherwise aiohttp would name its version and Python's.
        hdrs.SERVER: "sipfarm",
    }
    return web.Response(status=status, body=body, headers=headers)


def _text(status: HTTPStatus, line: str) -> web.Response:
    return _response(status, f"{line}\n".encode(), _TEXT)


def _health(word: str, reason: str) -> web.Response:
    if not reason:
        return _text(HTTPStatus.OK, word)
    return _text(HTTPStatus.SERVICE_UNAVAILABLE, f"not {word}: {reason}")
