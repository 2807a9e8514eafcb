"""A farm that is worth looking at: it serves calls, a node has died, and a Prometheus sees it all.

In: a directory. Out: the Prometheus, and how long it has been looking. Counterparts:
`test_dashboards.py` asks it what the dashboards ask; `python -m tests.monitoring.looked_at` draws
them.
"""

import argparse
import contextlib
import json
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from deploy.lab import Lab
from grafana.asking import Span
from grafana.looking import draw
from grafana.paths import DASHBOARDS
from overlay.base.limits import HTTP_CONNECTIONS_PER_SOURCE_MAX
from tests.farm.asking import PATIENT, eventually, sipfarm_json
from tests.farm.rolling import lab_under_load
from tests.monitoring.prometheus import Prometheus, documented

_CALLS_PER_S: Final = 8
_REGISTERS_PER_S: Final = 8
_PATIENCE_S: Final = 600.0
_PICTURES_INTERVAL_S: Final = 5
"""From scrape to scrape; documented are 15 s, of which minutes have few."""


def dashboards() -> dict[str, Any]:
    """Those that are committed, by uid."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


@contextmanager
def farm_with_a_fault(
    directory: Path, *, interval_s: int, before_s: float, after_s: float
) -> Iterator[Prometheus]:
    """Three nodes; records go to files, a carrier's gateway is silent, somebody opens
    too many connections. n3 dies when Prometheus has looked for `before_s`, and its answers are
    there for `after_s` of what follows. The load goes on until the end."""
    settings = {
        **PATIENT,
        "node.zone": "east",
        "export.files": ["csv"],
        "export.directory": str(directory / "cdr"),
    }
    lab = Lab.up(3, settings=settings)
    add_silent_gateway(lab)
    with (
        lab_under_load(
            lab,
            calls_per_s=_CALLS_PER_S,
            registers_per_s=_REGISTERS_PER_S,
            transports=("udp", "tcp", "tls"),
        ) as tally,
        Prometheus(directory, documented(lab, interval_s)) as prometheus,
    ):

        def looked(for_s: float, *, was_up: bool = True) -> bool:
            return scraped(prometheus, "n3", was_up=was_up) * interval_s > for_s

        eventually(lambda: looked(before_s / 2), "Prometheus looks", _PATIENCE_S)
        open_too_many(lab)
        eventually(lambda: looked(before_s), "Prometheus has looked", _PATIENCE_S)
        lab.kill("n3")
        eventually(lambda: looked(after_s, was_up=False), "n3 is down", _PATIENCE_S)
        assert tally.asked["BYE"] > 0
        yield prometheus


def add_silent_gateway(lab: Lab) -> None:
    """A carrier that does not answer: nothing listens at its gateway."""
    gateway = f"{lab.node('n1').address}:9"
    sipfarm_json(lab, "n1", "trunk", "add", "north", "--prefixes", "+49", "--gateway", gateway)


def open_too_many(lab: Lab) -> None:
    """Connections to the page of metrics, until n2 has enough of them."""
    metrics = lab.config("n2").metrics
    address = (metrics.address, metrics.port)
    with contextlib.ExitStack() as opened:
        for _ in range(HTTP_CONNECTIONS_PER_SOURCE_MAX + 1):
            last = opened.enter_context(socket.create_connection(address, timeout=10))
        assert is_refused(last)


def is_refused(connection: socket.socket) -> bool:
    """Whether the other end closes a connection on which nothing was sent; waits for it."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def scraped(prometheus: Prometheus, node: str, *, was_up: bool) -> float:
    """How often a node has answered Prometheus, or has not."""
    answered = f'sum_over_time(up{{node="{node}"}}[1h])'
    asked = f'count_over_time(up{{node="{node}"}}[1h])'
    found = prometheus.query(answered if was_up else f"{asked} - {answered}")
    return next((value for _, value in found), 0.0)


def span_of(length_s: float, interval_s: int) -> Span:
    """The last seconds."""
    now_s = time.time()
    return Span(begin_s=now_s - length_s, end_s=now_s, scrape_interval_s=interval_s)


def main() -> int:
    """Draw every dashboard."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where the pictures go")
    parser.add_argument("--before", type=float, default=240.0, help="s before the fault")
    parser.add_argument("--after", type=float, default=90.0, help="s after it")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        with (
            tempfile.TemporaryDirectory(dir="/var/tmp") as directory,
            farm_with_a_fault(
                Path(directory),
                interval_s=_PICTURES_INTERVAL_S,
                before_s=options.before,
                after_s=options.after,
            ) as prometheus,
        ):
            span = span_of(options.before + options.after, _PICTURES_INTERVAL_S)
            for uid, dashboard in dashboards().items():
                path = options.out / f"{uid.removeprefix('sipfarm-')}.png"
                empty = draw(dashboard, prometheus, span, path, chosen={})
                print(f"{path}: {', '.join(empty) or 'all panels have data'}")
    finally:
        Lab.down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
