"""A server of Debian's, with a directory and a port of its own for as long as a test lasts.

In: a program with its arguments. Out: a server that is ready. Counterparts: `prometheus.py`,
`alerting.py`.
"""

import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_START_S: Final = 60.0


class Served:
    """The process; it is ready inside of a `with`."""

    def __init__(self, directory: Path, program: str, url: str, *arguments: str) -> None:
        found = shutil.which(program)
        assert found, f"{program} is missing: run ./deploy/install tests"
        self.url = url
        self._log = directory / f"{program}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [found, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def __enter__(self) -> Self:
        try:
            self._wait_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _wait_ready(self) -> None:
        until_s = time.monotonic() + _START_S
        while not self._is_ready():
            told = self._log.read_text(errors="replace")
            assert self._process.poll() is None, told
            assert time.monotonic() < until_s, told
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as page:
                return bool(page.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def _stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
