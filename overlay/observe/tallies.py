"""Counts for Prometheus of what happens with every message.

In: calls on the event loop, one for each thing that happens. Out: the same figures as the client
library's counters and histograms give. Counterpart: `metrics.py` declares them. The library's own
counters take a lock and several calls for each count. With some counts at every event, that is a
tenth of the work of a small farm's daemon.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate, product
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from overlay.observe.metric_families import Family

BEGUN_MAX: Final = 64
"""The largest number of series with which a counter shows all of them from the start, at 0."""


class Tally(Collector):
    """A counter by the values of its labels, or one without labels.

    If it has few possible series, all of them begin at 0. The rate of a series that begins at 1
    would lack the first count.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        self._counts: defaultdict[tuple[str, ...], int] = defaultdict(int)
        if family.series_max <= BEGUN_MAX and all(label.values for label in family.labels):
            combined = product(*(label.values for label in family.labels))
            self._counts.update(dict.fromkeys(combined, 0))

    def inc(self, *values: str) -> None:
        """Count one more. `values` has a value for each label."""
        self._counts[values] += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The counts, for the registry."""
        shown = self._family.counter()
        for values, count in self._counts.items():
            shown.add_metric(values, count)
        yield shown


class Durations(Collector):
    """A histogram of seconds, by one label."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._buckets_s = family.buckets
        self._counts: dict[str, list[int]] = {}
        self._sums_s: defaultdict[str, float] = defaultdict(float)

    def observe(self, value: str, seconds: float) -> None:
        """Count one duration."""
        counts = self._counts.get(value)
        if counts is None:
            counts = self._counts[value] = [0] * (len(self._buckets_s) + 1)
        counts[bisect_left(self._buckets_s, seconds)] += 1
        self._sums_s[value] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram, for the registry."""
        shown = self._family.histogram()
        bounds = [*map(str, self._buckets_s), "+Inf"]
        for value, counts in self._counts.items():
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            shown.add_metric((value,), buckets, self._sums_s[value])
        yield shown
