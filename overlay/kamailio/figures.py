"""Kamailio's own figures, shown among the daemon's, so that a node has one address to scrape.

In: the statistics that Kamailio tells (`rpc.py`). Out: `kamailio_<group>_<name>`, and
`sipfarm_kamailio_up`. Counterpart: `overlay.observe.metrics_http` has them refreshed.
A Kamailio that is away, or answers nonsense, is no figures.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client.core import GaugeMetricFamily, UnknownMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from overlay.kamailio import rpc
from overlay.kamailio.rpc import KamailioError

SHED: Final = "kamailio_sipfarm_shed"
"""The proxy's counter `proxy.counters.SHED`."""
AGE_S_MAX: Final = 1.0
"""How long figures are shown again without asking."""

_UNFIT: Final = re.compile(r"[^a-zA-Z0-9_]")


class KamailioFigures(Collector):
    """What Kamailio last said of itself."""

    def __init__(self, path: Path, now_s: Callable[[], float]) -> None:
        """`path` is Kamailio's datagram socket; `now_s` a clock that never goes back, in s."""
        self._path = path
        self._now_s = now_s
        self._refreshed_s = float("-inf")
        self._lock = asyncio.Lock()
        self._figures: dict[str, int] | None = None

    def collect(self) -> Iterator[Metric]:
        """The figures of the last refresh."""
        up = GaugeMetricFamily("sipfarm_kamailio_up", "Whether Kamailio tells its figures")
        up.add_metric((), 1.0 if self._figures is not None else 0.0)
        yield up
        for name, value in (self._figures or {}).items():
            metric = UnknownMetricFamily(name, "Kamailio's own")
            metric.add_metric((), value)
            yield metric

    async def refresh(self) -> None:
        """Ask Kamailio, unless that was done just now; never raises for what Kamailio does."""
        async with self._lock:
            if self._now_s() - self._refreshed_s < AGE_S_MAX:
                return
            try:
                told = await rpc.ask_soon(self._path, rpc.STATISTICS, "all")
                self._figures = figures_of(rpc.statistics(told))
            except KamailioError:
                self._figures = None
            self._refreshed_s = self._now_s()

    async def shed(self) -> int:
        """How many requests Kamailio has refused since its start as it was behind with its work;
        0 if it does not say."""
        await self.refresh()
        return (self._figures or {}).get(SHED, 0)


def figures_of(statistics: dict[str, int]) -> dict[str, int]:
    """Names fit for Prometheus; of two that become the same, the first."""
    figures: dict[str, int] = {}
    for name, value in statistics.items():
        figures.setdefault(_UNFIT.sub("_", f"kamailio_{name}"), value)
    return figures
