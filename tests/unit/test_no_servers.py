"""A unit test that serves on a port, or starts a daemon, fails."""

import asyncio
import socket
import subprocess
from collections.abc import Callable

import pytest
import uvloop

REFUSED = pytest.raises(pytest.fail.Exception, match="belongs to tests/daemons/")


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_server_of_a_loop(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    loop = new_loop()
    with REFUSED:
        loop.run_until_complete(loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
    loop.close()


def test_a_socket_that_listens() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        with REFUSED:
            server.listen()


def test_a_program_that_is_no_tool() -> None:
    with REFUSED:
        subprocess.run(["/usr/bin/redis-server", "--version"], check=True)
