"""/metrics, /live, /ready and /sd: their answers, and clients that cannot hold the server up."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import uvloop
from prometheus_client import CollectorRegistry, Counter

from overlay.base import limit_hits
from overlay.base.limits import (
    HTTP_CONNECTIONS_MAX,
    HTTP_CONNECTIONS_PER_SOURCE_MAX,
    HTTP_FIELDS_MAX,
    HTTP_LINE_BYTES_MAX,
)
from overlay.observe import metrics_http
from overlay.observe.metrics_http import Hooks, MetricsServer
from tests.waiting import eventually, until

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
Ready = Callable[[], Awaitable[tuple[str, ...]]]


async def is_ready() -> tuple[str, ...]:
    return ()


async def targets() -> list[Any]:
    return [{"targets": ["192.0.2.1:9464"], "labels": {"node": "n1"}}]


class Scene:
    """A server on a loopback port."""

    def __init__(self, **hooks: Any) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter("calls", "Calls", registry=self.registry)
        known: dict[str, Any] = {
            "live": lambda: "",
            "ready": is_ready,
            "targets": targets,
            **hooks,
        }
        self.server = MetricsServer(self.registry, Hooks(**known))
        self.port = 0

    async def send(self, data: bytes, *, eof: bool = False, source: str = "127.0.0.1") -> bytes:
        """All that the server says to this, until it closes the connection."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(source, 0)
        )
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
        head = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: n1", "Connection: close", *fields))
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

    async def counts() -> None:
        scene.calls.inc()

    async def hangs() -> None:
        await asyncio.Event().wait()

    scene = Scene(refresh=(hangs, counts))

    async def scenario(scene: Scene) -> None:
        assert "calls_total 1.0" in (await scene.get("/metrics"))[2]

    play(scene, scenario)


def test_the_nodes_of_the_farm_as_prometheus_takes_them() -> None:
    async def scenario(scene: Scene) -> None:
        status, header, body = await scene.get("/sd")
        assert (status, json.loads(body)) == (200, await targets())
        assert "Content-Type: application/json" in header
        assert "Server: sipfarm" in header

    play(Scene(), scenario)


def test_a_page_that_fails_says_so_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> list[Any]:
        raise ZeroDivisionError

    async def scenario(scene: Scene) -> None:
        assert (await scene.get("/sd"))[0] == 500
        assert (await scene.get("/live"))[0] == 200

    play(Scene(targets=fails), scenario)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_other_paths_and_methods() -> None:
    async def scenario(scene: Scene) -> None:
        for path in ("/", "/metrics/", "/../etc/passwd"):
            assert (await scene.get(path))[0] == 404, path
        for method in ("POST", "PUT", "DELETE"):
            status, header, _ = await scene.get("/metrics", method=method)
            assert (status, "Allow: GET, HEAD" in header) == (405, True)
        status, header, body = await scene.get("/metrics", method="HEAD")
        assert (status, body, "Content-Length: 0" in header) == (200, "", False)

    play(Scene(), scenario)


def test_a_connection_is_kept_for_the_next_request() -> None:
    async def scenario(scene: Scene) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
        for _ in range(3):
            writer.write(b"GET /live HTTP/1.1\r\nHost: n1\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(len(b"live\n")) == b"live\n"
        writer.transport.abort()

    play(Scene(), scenario)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\nx",
        b"GET  /metrics HTTP/1.1\r\n\r\n",
        b"G\x00T /metrics HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * (HTTP_FIELDS_MAX + 1) + b"\r\n",
        b"GET /metrics HTTP/1.1\r\nX: " + b"y" * (HTTP_LINE_BYTES_MAX + 1) + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
        b"GET /" + b"x" * (HTTP_LINE_BYTES_MAX * 8),
    ],
    ids=range(8),
)
def test_what_is_no_request_is_refused(
    data: bytes, loop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(scene: Scene) -> None:
        answer = await scene.send(data)
        # A reset may overtake the answer when more came than was read.
        refused = answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
        assert refused or (not answer and len(data) > HTTP_LINE_BYTES_MAX), answer
        assert (await scene.get("/live"))[0] == 200

    play(Scene(), scenario, loop)
    assert not caplog.records, "anybody could fill the log"


def test_what_comes_after_a_request_is_not_read() -> None:
    async def scenario(scene: Scene) -> None:
        head = b"GET /live HTTP/1.1\r\nHost: n1\r\nContent-Length: 1000000\r\n\r\n"
        answer = await scene.send(head + b"x" * 100)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"live\n")

    play(Scene(), scenario)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("begun", [b"", b"GET /met", b"GET /metrics HTTP/1.1\r\n"])
def test_a_connection_without_a_request_ends(
    begun: bytes, loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_http, "IDLE_S", 0.1)

    async def scenario(scene: Scene) -> None:
        assert await scene.send(begun) == b""
        # Also after one that was answered.
        answer = await scene.send(b"GET /live HTTP/1.1\r\nHost: n1\r\n\r\n" + begun)
        assert answer.endswith(b"live\n")

    play(Scene(), scenario, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_one_source_does_not_take_the_room_of_others(
    loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(scene: Scene) -> None:
        waiting = [
            asyncio.create_task(scene.send(b"GET /")) for _ in range(HTTP_CONNECTIONS_MAX * 2)
        ]
        refused = len(waiting) - HTTP_CONNECTIONS_PER_SOURCE_MAX
        await until(lambda: sum(each.done() for each in waiting) == refused)
        assert limit_hits.counted()["HTTP_CONNECTIONS_PER_SOURCE_MAX"] >= refused
        assert await scene.send(b"GET /live HTTP/1.0\r\n\r\n") == b""
        answer = await scene.send(b"GET /live HTTP/1.0\r\n\r\n", source="127.0.0.2")
        assert answer.endswith(b"live\n")
        # There is room again when they are gone.
        for each in waiting:
            each.cancel()

        async def answered() -> bool:
            return bool(await scene.send(b"GET /live HTTP/1.0\r\n\r\n"))

        await eventually(answered)

    play(Scene(), scenario, loop)


def test_all_sources_together_have_a_bound() -> None:
    async def scenario(scene: Scene) -> None:
        sources = [f"127.0.1.{number}" for number in range(1, HTTP_CONNECTIONS_MAX + 3)]
        waiting = [asyncio.create_task(scene.send(b"GET /", source=each)) for each in sources]
        await until(lambda: sum(each.done() for each in waiting) == 2)
        assert limit_hits.counted()["HTTP_CONNECTIONS_MAX"] >= 2
        for each in waiting:
            each.cancel()

    play(Scene(), scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_who_does_not_read_the_answer_is_cut_off(
    loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_http, "SEND_TIMEOUT_S", 0.1)

    async def many() -> list[Any]:
        return ["x" * 1_000] * 20_000

    async def scenario(scene: Scene) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", scene.port, limit=1_000)
        writer.write(b"GET /sd HTTP/1.1\r\nHost: n1\r\n\r\n")
        await until(lambda: not scene.server.connections)
        writer.transport.abort()

    play(Scene(targets=many), scenario, loop)


def test_stopping_does_not_wait_for_requests() -> None:
    asked = asyncio.Event()

    async def ready() -> tuple[str, ...]:
        asked.set()
        await asyncio.Event().wait()
        return ()

    async def run() -> None:
        scene = Scene(ready=ready)
        scene.port = await scene.server.start("127.0.0.1", 0)
        waiting = asyncio.create_task(scene.send(b"GET /ready HTTP/1.1\r\nHost: n1\r\n\r\n"))
        await until(asked.is_set)
        await asyncio.wait_for(scene.server.stop(), 1)
        assert await waiting == b""

    asyncio.run(run())
