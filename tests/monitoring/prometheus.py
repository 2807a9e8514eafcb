"""Runs a real Prometheus, Debian's, with a database of its own, for as long as a test lasts.

In: a configuration. Out: answers to queries. Counterparts: the nodes of a lab.
"""

import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.monitoring.served import Served, free_port


class Prometheus(Served):
    """The process, and its HTTP interface."""

    def __init__(self, directory: Path, configuration: str) -> None:
        address = f"127.0.0.1:{free_port()}"
        config = directory / "prometheus.yml"
        config.write_text(configuration, encoding="utf-8")
        super().__init__(
            directory,
            "prometheus",
            f"http://{address}",
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={address}",
        )

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
