"""The messages to systemd, over a real socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from overlay.base import service_manager


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
