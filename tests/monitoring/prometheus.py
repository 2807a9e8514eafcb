"""Runs a real Prometheus, Debian's, with a database of its own, for as long as a test lasts.

In: a configuration. Out: answers to queries. Counterparts: the nodes of a lab.
"""

import json
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from deploy.docs.__main__ import ROOT
from deploy.lab import Lab

_START_S: Final = 60.0
_ADDRESSES: Final = {"10.99.0.11": "n1", "10.99.0.12": "n2"}
"""Of the nodes that docs/operate.md names."""


class Prometheus:
    """The process, and its HTTP interface."""

    def __init__(self, directory: Path, configuration: str) -> None:
        program = shutil.which("prometheus")
        assert program, "prometheus is missing: run ./deploy/install tests"
        self._directory = directory
        self.url = f"http://127.0.0.1:{_free_port()}"
        """Where it answers."""
        config = directory / "prometheus.yml"
        config.write_text(configuration, encoding="utf-8")
        with (directory / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={config}",
                    f"--storage.tsdb.path={directory / 'data'}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        until_s = time.monotonic() + _START_S
        while not self._is_ready():
            told = (self._directory / "prometheus.log").read_text(errors="replace")
            assert self._process.poll() is None, told
            assert time.monotonic() < until_s, told
            time.sleep(0.05)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series that an instant query finds."""
        found = self.ask("query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def ask(self, what: str, **parameters: str) -> Any:
        """An answer of the interface below /api/v1."""
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as page:
            answer = json.loads(page.read())
        assert answer["status"] == "success", answer
        return answer["data"]

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as page:
                return bool(page.status == 200)
        except (OSError, urllib.error.URLError):
            return False


def documented(lab: Lab, interval_s: int) -> str:
    """The configuration that docs/operate.md shows, for this lab, with this interval of looking for
    nodes and of asking them; documented are 30 s and 15 s."""
    text = (ROOT / "docs/operate.md").read_text(encoding="utf-8")
    found = re.search(r"```yaml\n(scrape_configs:\n.*?)```", text, re.DOTALL)
    assert found is not None
    config, changed = re.subn(r"_interval: \d+s", f"_interval: {interval_s}s", found[1])
    assert changed == 3
    for address, name in _ADDRESSES.items():
        assert address in config
        config = config.replace(address, lab.node(name).address)
    return config


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
