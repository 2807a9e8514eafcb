"""Fails every unit test that serves on a port, or starts a program that stays.

Tests that need either are in `tests/daemons/`, so that the unit tests take seconds.
"""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
import uvloop

TOOLS: Final = {
    "bash",
    "dpkg",
    "dpkg-deb",
    "dpkg-query",
    "git",
    "keymgr",
    "openssl",
    "ssh",
    "systemd-analyze",
    "tsig-keygen",
    Path(sys.executable).name,
}
"""Programs that do something and end."""

_listen = socket.socket.listen
_start = subprocess.Popen.__init__


def _refuse(what: str) -> NoReturn:
    pytest.fail(f"{what}: such a test belongs to tests/daemons/")


def _listen_locally(self: socket.socket, *backlog: int) -> None:
    if self.family != socket.AF_UNIX:
        _refuse(f"listens on {self.getsockname()}")
    _listen(self, *backlog)


async def _serve(*_: object, **__: object) -> NoReturn:
    _refuse("serves on a port")


def _start_tool(self: "subprocess.Popen[Any]", args: Any, *rest: Any, **named: Any) -> None:
    program = args if isinstance(args, str | bytes | Path) else args[0]
    if Path(str(program)).name not in TOOLS:
        _refuse(f"starts {program}")
    _start(self, args, *rest, **named)


@pytest.fixture(autouse=True)
def no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test that listens on a TCP port or starts another program than a tool."""
    monkeypatch.setattr(socket.socket, "listen", _listen_locally)
    # A server of uvloop listens in C.
    for loop in (asyncio.BaseEventLoop, uvloop.Loop):
        monkeypatch.setattr(loop, "create_server", _serve)
    monkeypatch.setattr(subprocess.Popen, "__init__", _start_tool)
