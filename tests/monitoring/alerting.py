"""Debian's Alertmanager and a receiver of webhooks, for as long as a test lasts.

In: alerts of a `Prometheus`. Out: what the receiver was told, and when. Counterpart:
`test_alerts.py`.
"""

import json
import threading
import time
import urllib.request
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.closing import Closing
from tests.monitoring.served import Served, free_port


@dataclass(frozen=True, kw_only=True)
class Told:
    """One alert in a webhook (Alertmanager's documentation, "webhook_config")."""

    receiver: str
    name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    firing: bool
    at_s: float
    """By the monotonic clock."""


class Receiver(Closing):
    """Takes webhooks on a port of its own choice."""

    def __init__(self) -> None:
        self._told: list[Told] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"]))
                receiver._take(self.path.strip("/"), json.loads(text))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def told(self, name: str) -> list[Told]:
        """All that was told of an alert, the oldest first."""
        with self._lock:
            return [each for each in self._told if each.name == name]

    def last(self, name: str) -> Told | None:
        """What was told of it last."""
        told = self.told(name)
        return told[-1] if told else None

    def fires(self, name: str) -> bool:
        """Whether it was told, and not that it was over."""
        last = self.last(name)
        return last is not None and last.firing

    def _take(self, receiver: str, message: dict[str, Any]) -> None:
        with self._lock:
            for alert in message["alerts"]:
                self._told.append(
                    Told(
                        receiver=receiver,
                        name=alert["labels"]["alertname"],
                        labels=alert["labels"],
                        annotations=alert["annotations"],
                        firing=alert["status"] == "firing",
                        at_s=time.monotonic(),
                    )
                )


class Alertmanager(Served):
    """The process, and its HTTP interface."""

    def __init__(self, directory: Path, configuration: str) -> None:
        self.target = f"127.0.0.1:{free_port()}"
        config = directory / "alertmanager.yml"
        config.write_text(configuration, encoding="utf-8")
        super().__init__(
            directory,
            "prometheus-alertmanager",
            f"http://{self.target}",
            f"--config.file={config}",
            f"--storage.path={directory / 'alertmanager'}",
            f"--web.listen-address={self.target}",
            # There is only this one.
            "--cluster.listen-address=",
        )

    def states(self, name: str) -> dict[str, str]:
        """`active` or `suppressed`, of each node that the alert is about now."""
        url = f"{self.url}/api/v2/alerts?filter=alertname%3D%22{name}%22"
        with urllib.request.urlopen(url, timeout=10) as page:
            found = json.loads(page.read())
        return {each["labels"].get("node", ""): each["status"]["state"] for each in found}
