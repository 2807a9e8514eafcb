"""Shows Kamailio's figures among the daemon's, so that each node has one address to scrape.

In: Kamailio's statistics (`rpc.py`). Out: the families of `statistics.py`, and whether Kamailio
gives statistics at all. Counterpart: `overlay.observe.metrics_http` has them refreshed. While
Kamailio does not answer, or answers nonsense, no figures of it are shown.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from overlay.kamailio import rpc
from overlay.kamailio.rpc import KamailioError
from overlay.kamailio.statistics import LEFT_OUT, TABLE
from overlay.observe.metric_families import Family, Kind

SHED: Final = "sipfarm:shed"
"""The proxy's counter `proxy.counters.SHED`."""
AGE_S_MAX: Final = 1.0
"""Figures younger than this are shown again without asking Kamailio."""

UP: Final = Family(
    name="sipfarm_kamailio_up", kind=Kind.GAUGE, text="Whether Kamailio tells its statistics"
)
UNKNOWN: Final = Family(
    name="sipfarm_kamailio_unknown_statistics",
    kind=Kind.GAUGE,
    text="Statistics of Kamailio that are not shown, as nobody said whether they are counters",
)
FAMILIES: Final = (UP, UNKNOWN)


class KamailioFigures(Collector):
    """The figures that Kamailio gave last."""

    def __init__(self, path: Path, now_s: Callable[[], float]) -> None:
        """`path` is Kamailio's datagram socket; `now_s` is a clock that never goes back, in s."""
        self._path = path
        self._now_s = now_s
        self._refreshed_s = float("-inf")
        self._lock = asyncio.Lock()
        self._figures: dict[str, int] | None = None

    def collect(self) -> Iterator[Metric]:
        """The figures of the last refresh."""
        figures = self._figures or {}
        up, unknown = UP.gauge(), UNKNOWN.gauge()
        up.add_metric((), self._figures is not None)
        unknown.add_metric((), sum(1 for _ in unlisted(figures)))
        yield up
        yield unknown
        shown: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for statistic, value in figures.items():
            entry = TABLE.get(statistic)
            if entry is None:
                continue
            if entry.family.name not in shown:
                shown[entry.family.name] = entry.family.numbers()
            shown[entry.family.name].add_metric(entry.values, value)
        yield from shown.values()

    async def refresh(self) -> None:
        """Ask Kamailio, unless that was done just now. Never raises, whatever Kamailio does."""
        async with self._lock:
            if self._now_s() - self._refreshed_s < AGE_S_MAX:
                return
            try:
                told = await rpc.ask_soon(self._path, rpc.STATISTICS, "all")
                self._figures = rpc.statistics(told)
            except KamailioError:
                self._figures = None
            self._refreshed_s = self._now_s()

    async def shed(self) -> int:
        """The number of requests that Kamailio has refused since its start, as it was behind with
        its work; 0 if Kamailio does not answer."""
        await self.refresh()
        return (self._figures or {}).get(SHED, 0)


def unlisted(statistics: Iterable[str]) -> Iterator[str]:
    """The statistics that are neither in the table nor left out on purpose."""
    return (each for each in statistics if each not in TABLE and not each.startswith(LEFT_OUT))
