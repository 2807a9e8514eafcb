"""Kamailio's figures: from a real Kamailio, from none, and from one that lies."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from prometheus_client import CollectorRegistry, generate_latest

from overlay.base.limits import KAMAILIO_FIGURES_MAX
from overlay.kamailio import rpc
from overlay.kamailio.figures import KamailioFigures

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


def shown(figures: KamailioFigures) -> str:
    registry = CollectorRegistry()
    registry.register(figures)
    return generate_latest(registry).decode()


NO_FIGURES = ["sipfarm_kamailio_up 0.0", "sipfarm_kamailio_unknown_statistics 0.0"]


def told(figures: KamailioFigures) -> list[str]:
    """The series alone."""
    return [line for line in shown(figures).splitlines() if not line.startswith("#")]


def refresh(figures: KamailioFigures, loop: Any = asyncio.new_event_loop) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(figures.refresh(), 10))


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


_SCRIPT = """#!KAMAILIO
log_stderror=yes
children=1
listen=udp:127.0.0.1:0
loadmodule "kex.so"
loadmodule "sl.so"
loadmodule "jsonrpcs.so"
modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "dgram_socket", "{socket}")
modparam("jsonrpcs", "dgram_mode", 0600)
request_route {{ drop; }}
"""


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The datagram socket of a real Kamailio."""
    directory = tmp_path_factory.mktemp("kamailio")
    path = directory / "rpc.sock"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = _SCRIPT.replace("127.0.0.1:0", f"127.0.0.1:{port}").format(socket=path)
    (directory / "kamailio.cfg").write_text(script)
    command = ["kamailio", "-f", str(directory / "kamailio.cfg"), "-DD", "-E", "-m", "16"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-M", "4", "-Y", str(directory), "-P", str(directory / "pid")],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    until_s = time.monotonic() + 20
    while not path.exists():
        assert process.poll() is None, (directory / "log").read_text()
        assert time.monotonic() < until_s, (directory / "log").read_text()
        time.sleep(0.02)
    yield path
    # With all its children, and no SIGTERM: one that comes just before it begins to wait for
    # signals, it hears with the next one.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_real_kamailio_tells_its_figures(kamailio: Path, loop: Any) -> None:
    clock = Clock()
    figures = KamailioFigures(kamailio, clock)
    until_s = time.monotonic() + 10
    while "sipfarm_kamailio_up 1.0" not in shown(figures):
        assert time.monotonic() < until_s
        clock.now_s += 10
        refresh(figures, loop)
    assert asyncio.run(figures.shed()) == 0
    text = shown(figures)
    assert '\nkamailio_core_request_total{fate="received"} 0.0\n' in text
    assert "\nkamailio_shm_free_bytes " in text
    assert "\nsipfarm_kamailio_unknown_statistics 0.0\n" in text


def test_no_kamailio_is_no_figures(tmp_path: Path) -> None:
    figures = KamailioFigures(tmp_path / "none.sock", Clock())
    assert told(figures) == NO_FIGURES
    assert asyncio.run(figures.shed()) == 0
    refresh(figures)
    assert told(figures) == NO_FIGURES


def answer(lines: Any, request_id: int = 1) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "result": lines, "id": request_id}).encode()


class Fake:
    """A socket in Kamailio's place that gives each of these answers once."""

    def __init__(self, path: Path, *answers: bytes) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answers = list(answers)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    async def play(self, figures: KamailioFigures) -> None:
        asyncio.get_running_loop().add_reader(self._socket, self._answer)
        try:
            await figures.refresh()
        finally:
            asyncio.get_running_loop().remove_reader(self._socket)

    def close(self) -> None:
        self._socket.close()

    def _answer(self) -> None:
        data, address = self._socket.recvfrom(65536)
        self.asked.append(json.loads(data))
        if self._answers:
            self._socket.sendto(self._answers.pop(0), address)


def test_figures_are_kept_for_a_moment_and_go_when_kamailio_goes(tmp_path: Path) -> None:
    fake = Fake(
        tmp_path / "k.sock",
        answer(["sl:failures = 1", "core:x = 9"]),
        answer(["sl:failures = 2"]),
    )
    clock = Clock()
    figures = KamailioFigures(tmp_path / "k.sock", clock)
    asyncio.run(fake.play(figures))
    assert told(figures) == [
        "sipfarm_kamailio_up 1.0",
        "sipfarm_kamailio_unknown_statistics 1.0",
        "kamailio_sl_failures_total 1.0",
    ]
    clock.now_s = 0.9
    asyncio.run(fake.play(figures))
    assert "kamailio_sl_failures_total 1.0" in told(figures)
    clock.now_s = 1.1
    asyncio.run(fake.play(figures))
    assert "kamailio_sl_failures_total 2.0" in told(figures)
    assert [each["method"] for each in fake.asked] == ["stats.get_statistics"] * 2
    fake.close()
    clock.now_s = 3
    refresh(figures)
    assert told(figures) == NO_FIGURES


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"{}", b"[]", answer(None), answer([1]), answer(["core:x = 1"], 7), b"\xff" * 9000],
)
def test_nonsense_is_no_figures(tmp_path: Path, data: bytes) -> None:
    fake = Fake(tmp_path / "k.sock", data)
    figures = KamailioFigures(tmp_path / "k.sock", Clock())
    asyncio.run(fake.play(figures))
    fake.close()
    assert told(figures) == NO_FIGURES


def test_silence_is_no_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "SOON_TIMEOUT_S", 0.05)
    fake = Fake(tmp_path / "k.sock")
    figures = KamailioFigures(tmp_path / "k.sock", Clock())
    asyncio.run(fake.play(figures))
    fake.close()
    assert len(fake.asked) == 1
    assert told(figures) == NO_FIGURES


def test_only_figures_are_taken_and_each_name_once() -> None:
    lines = [
        "core:rcv-requests = 5",
        "core:rcv_requests = 6",
        "core:rcv_requests = 7",
        "tm:UAS.transactions=-3",
        "no figure",
        "core:x = y",
        'core:x"} 1\n = 1',
        "a" * 65 + ":x = 1",
        "core:x = 123456789012345678901",
    ]
    assert rpc.statistics(lines) == {
        "core:rcv-requests": 5,
        "core:rcv_requests": 7,
        "tm:UAS.transactions": -3,
    }
    many = rpc.statistics([f"core:x{number} = 1" for number in range(5_000)])
    assert len(many) == KAMAILIO_FIGURES_MAX
