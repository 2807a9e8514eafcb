"""/metrics, /live and /ready: what is answered, and what cannot hold the server up."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import uvloop
from prometheus_client import CollectorRegistry, Counter

from overlay.base.limits import HTTP_CONNECTIONS_MAX, HTTP_REQUEST_BYTES_MAX
from overlay.observe import metrics_http
from overlay.observe.metrics_http import Hooks, MetricsServer

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
Ready = Callable[[], Awaitable[tuple[str, ...]]]


async def is_ready() -> tuple[str, ...]:
    return ()


class Scene:
    """A server on a loopback port."""

    def __init__(self, **hooks: Any) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter("calls", "Calls", registry=self.registry)
        known: dict[str, Any] = {"live": lambda: "", "ready": is_ready, **hooks}
        self.server = MetricsServer(self.registry, Hooks(**known))
        self.port = 0

    async def send(self, data: bytes, *, eof: bool = False) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            with suppress(ConnectionError):
                writer.write(data)
                if eof:
                    writer.write_eof()
                return await reader.read()
            return b""
        finally:
            writer.transport.abort()

    async def get(self, path: str, *fields: str, method: str = "GET") -> tuple[int, str, str]:
        """Status, header and body."""
        head = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: n1", *fields))
        answer = await self.send(head.encode() + b"\r\n\r\n")
        header, _, body = answer.decode().partition("\r\n\r\n")
        return int(header.split(" ")[1]), header, body


def play(scene: Scene, scenario: Callable[[Scene], Awaitable[None]], loop: Any = LOOPS[0]) -> None:
    async def run() -> None:
        scene.port = await scene.server.start("127.0.0.1", 0)
        try:
            await asyncio.wait_for(scenario(scene), 20)
        finally:
            await scene.server.stop()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("loop", LOOPS)
def test_figures_in_both_formats(loop: Any) -> None:
    async def scenario(scene: Scene) -> None:
        scene.calls.inc(3)
        status, header, body = await scene.get("/metrics")
        assert (status, "calls_total 3.0" in body) == (200, True)
        assert "Content-Type: text/plain" in header
        assert f"Content-Length: {len(body)}" in header
        accept = "Accept: application/openmetrics-text; version=1.0.0"
        status, header, body = await scene.get("/metrics?name=x", accept)
        assert "Content-Type: application/openmetrics-text" in header
        assert body.endswith("# EOF\n")

    play(Scene(), scenario, loop)


def test_health() -> None:
    state: dict[str, Any] = {"live": "", "ready": ()}

    async def ready() -> tuple[str, ...]:
        found: tuple[str, ...] = state["ready"]
        return found

    async def scenario(scene: Scene) -> None:
        assert (await scene.get("/live"))[::2] == (200, "live\n")
        assert (await scene.get("/ready"))[::2] == (200, "ready\n")
        state.update(live="no beat", ready=("no quorum", "no Kamailio"))
        assert (await scene.get("/live"))[::2] == (503, "not live: no beat\n")
        assert (await scene.get("/ready"))[::2] == (503, "not ready: no quorum; no Kamailio\n")

    play(Scene(live=lambda: state["live"], ready=ready), scenario)


def test_a_probe_that_hangs_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_http, "HOOK_TIMEOUT_S", 0.05)

    async def ready() -> tuple[str, ...]:
        await asyncio.Event().wait()
        return ()

    async def scenario(scene: Scene) -> None:
        assert (await scene.get("/ready"))[::2] == (503, "not ready: no answer in time\n")

    play(Scene(ready=ready), scenario)


def test_figures_are_refreshed_first_and_shown_in_any_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics_http, "HOOK_TIMEOUT_S", 0.05)
    scene = Scene()

    async def counts() -> None:
        scene.calls.inc()

    async def hangs() -> None:
        await asyncio.Event().wait()

    scene.server = MetricsServer(
        scene.registry, Hooks(live=lambda: "", ready=is_ready, refresh=(hangs, counts))
    )

    async def scenario(scene: Scene) -> None:
        assert "calls_total 1.0" in (await scene.get("/metrics"))[2]

    play(scene, scenario)


def test_other_paths_and_methods() -> None:
    async def scenario(scene: Scene) -> None:
        for path in ("/", "/metrics/", "/../etc/passwd", "*", "http://n1/metrics"):
            assert (await scene.get(path))[0] == 404
        for method in ("POST", "PUT", "DELETE", "get"):
            status, header, _ = await scene.get("/metrics", method=method)
            assert (status, "Allow: GET, HEAD" in header) == (405, True)
        status, header, body = await scene.get("/metrics", method="HEAD")
        assert (status, body, "Content-Length: 0" in header) == (200, "", False)

    play(Scene(), scenario)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET  /metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/2.0\r\n\r\n",
        b"G\x00T /metrics HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
        b"x" * (HTTP_REQUEST_BYTES_MAX * 8),
    ],
    ids=range(8),
)
def test_what_is_no_request_is_refused(data: bytes, loop: Any) -> None:
    async def scenario(scene: Scene) -> None:
        answer = await scene.send(data)
        # A reset may overtake the answer when more came than was read.
        assert answer.startswith(b"HTTP/1.1 400 ") or (not answer and len(data) > 16_384)
        assert (await scene.get("/live"))[0] == 200

    play(Scene(), scenario, loop)


def test_half_a_request_is_refused() -> None:
    async def scenario(scene: Scene) -> None:
        assert (await scene.send(b"GET /met", eof=True)).startswith(b"HTTP/1.1 400 ")

    play(Scene(), scenario)


def test_slow_and_many_connections_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_http, "REQUEST_TIMEOUT_S", 0.3)

    async def scenario(scene: Scene) -> None:
        slow = [
            asyncio.create_task(scene.send(b"GET /metrics HTTP/1.1\r\n"))
            for _ in range(HTTP_CONNECTIONS_MAX * 2)
        ]
        assert await asyncio.gather(*slow) == [b""] * len(slow)
        assert (await scene.get("/live"))[0] == 200

    play(Scene(), scenario)


def test_stopping_does_not_wait_for_requests() -> None:
    async def ready() -> tuple[str, ...]:
        await asyncio.Event().wait()
        return ()

    async def run() -> None:
        scene = Scene(ready=ready)
        scene.port = await scene.server.start("127.0.0.1", 0)
        waiting = asyncio.create_task(scene.send(b"GET /ready HTTP/1.1\r\n\r\n"))
        await asyncio.sleep(0.05)
        await asyncio.wait_for(scene.server.stop(), 1)
        assert await waiting == b""

    asyncio.run(run())
