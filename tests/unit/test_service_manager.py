"""What systemd is told, over a real socket."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from overlay import service_manager


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


def test_systemd_hears_what_it_is_told(listening: socket.socket) -> None:
    service_manager.notify(
        service_manager.READY, {"NOTIFY_SOCKET": os.fsdecode(listening.getsockname())}
    )
    assert listening.recv(100) == b"READY=1"


def test_a_name_that_begins_with_an_at_is_an_abstract_socket() -> None:
    name = f"sipfarm-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(5)
        service_manager.notify(service_manager.STOPPING, {"NOTIFY_SOCKET": f"@{name}"})
        assert listener.recv(100) == b"STOPPING=1"


def test_a_service_goes_on_where_nobody_listens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service_manager.notify(service_manager.READY, {})
    assert not caplog.messages
    service_manager.notify(service_manager.READY, {"NOTIFY_SOCKET": str(tmp_path / "none")})
    assert "cannot be told READY=1" in caplog.text


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "20000000"}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_meant_for_this_process_or_is_none(
    environment: dict[str, str], seconds: float
) -> None:
    assert service_manager.watchdog_s(environment) == seconds


async def _fed_until_stuck(listening: socket.socket, beats: int) -> None:
    """Feed from a beat that comes round so many times and then hangs."""
    came = 0
    stuck = asyncio.Event()

    async def beat() -> None:
        nonlocal came
        came += 1
        if came > beats:
            stuck.set()
            await asyncio.get_running_loop().create_future()

    environment = {
        "NOTIFY_SOCKET": os.fsdecode(listening.getsockname()),
        "WATCHDOG_USEC": "4000",
    }
    task = asyncio.create_task(service_manager.feed_watchdog(beat, environment))
    await stuck.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_the_watchdog_is_fed_by_what_comes_round_alone(listening: socket.socket) -> None:
    asyncio.run(_fed_until_stuck(listening, 3))
    assert [listening.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    listening.setblocking(False)
    with pytest.raises(BlockingIOError):
        listening.recv(100)


def test_without_a_watchdog_nothing_is_fed() -> None:
    async def beat() -> None:
        raise AssertionError("there is nobody to feed")

    asyncio.run(service_manager.feed_watchdog(beat, {}))
