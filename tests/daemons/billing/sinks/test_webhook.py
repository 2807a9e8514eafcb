"""Billing records are posted to a real HTTP server."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from overlay.billing.columns import COLUMNS, BilledRow
from overlay.billing.sinks.sink import SinkError
from overlay.billing.sinks.webhook import WebhookSink, signature
from tests.unit.billing.sinks.rows import hostile_rows, row

SECRET = b"of both"


class Posted(msgspec.Struct):
    """A body."""

    rows: list[BilledRow]


class Service:
    """The operator's service."""

    def __init__(self) -> None:
        self.answer = 204
        self.requests: list[tuple[dict[str, str], bytes]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.requests.append((dict(self.headers), body))
                self.send_response(service.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/cdr"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def service() -> Iterator[Service]:
    """The service, until the end of the test."""
    service = Service()
    yield service
    service.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """The file of the shared secret."""
    path = tmp_path / "webhook.secret"
    path.write_bytes(SECRET + b"\n")
    return path


def test_what_is_posted_can_be_checked(service: Service, secret: Path) -> None:
    async def story() -> None:
        sink = WebhookSink(service.url, secret, clock=lambda: 1_700_000_000.9)
        await sink.take([row(1), row(2)])
        await sink.take([row(1), row(2)])
        await sink.close()

    asyncio.run(story())
    (headers, body), (again, _) = service.requests
    assert msgspec.json.decode(body, type=Posted).rows == [row(1), row(2)]
    assert headers["X-Sipfarm-Timestamp"] == "1700000000"
    assert headers["X-Sipfarm-Signature"] == signature(SECRET, "1700000000", body)
    assert signature(SECRET, "1700000000", body + b" ") != headers["X-Sipfarm-Signature"]
    assert headers["Idempotency-Key"] == again["Idempotency-Key"]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(hostile_rows())
def test_whatever_a_call_says_is_posted_as_it_is(
    service: Service, secret: Path, hostile: BilledRow
) -> None:
    async def story() -> None:
        sink = WebhookSink(service.url, secret)
        await sink.take([hostile])
        await sink.close()

    asyncio.run(story())
    (posted,) = json.loads(service.requests[-1][1])["rows"]
    assert list(posted.items()) == [(name, getattr(hostile, name)) for name in COLUMNS]


@pytest.mark.parametrize("code", [301, 400, 500])
def test_only_2xx_means_taken(service: Service, secret: Path, code: int) -> None:
    async def story() -> None:
        service.answer = code
        sink = WebhookSink(service.url, secret)
        with pytest.raises(SinkError, match=str(code)):
            await sink.take([row(1)])
        service.answer = 200
        await sink.take([row(1)])
        await sink.close()

    asyncio.run(story())
    assert len(service.requests) == 2


def test_nobody_listens(secret: Path) -> None:
    async def story() -> None:
        sink = WebhookSink("http://127.0.0.1:9/cdr", secret)
        with pytest.raises(SinkError, match="ConnectError"):
            await sink.take([row(1)])
        await sink.close()

    asyncio.run(story())


def test_without_a_secret_nothing_is_posted(service: Service, tmp_path: Path) -> None:
    async def story() -> None:
        sink = WebhookSink(service.url, tmp_path / "none")
        with pytest.raises(SinkError, match="No such file"):
            await sink.take([row(1)])
        await sink.close()

    asyncio.run(story())
    assert service.requests == []
