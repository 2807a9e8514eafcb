"""Counts for Prometheus of what happens with every message.

In: what happens, on the event loop. Out: the same figures as the client library's counters and
histograms give. Counterpart: `metrics.py` declares them. The library's own take a lock and several
calls for each count: with some of them at every event, a tenth of what a small farm's daemon does.
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
"""Series of a counter that are shown before anything was counted."""


class Tally(Collector):
    """A counter by the values of its labels, or one without labels.

    Where there can be few series all begin at 0: the rate of one that begins at 1 lacks the first.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        self._counts: defaultdict[tuple[str, ...], int] = defaultdict(int)
        if family.series_max <= BEGUN_MAX and all(label.values for label in family.labels):
            combined = product(*(label.values for label in family.labels))
            self._counts.update(dict.fromkeys(combined, 0))

    def inc(self, *values: str) -> None:
        """One more; a value for each label."""
        self._counts[values] += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        """For the registry."""
        shown = self._family.counter()
        for values, count in self._counts.items():
            shown.add_metric(values, count)
        yield shown


class Durations(Collector):
    """A histogram of seconds by one label."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._buckets_s = family.buckets
        self._counts: dict[str, list[int]] = {}
        self._sums_s: defaultdict[str, float] = defaultdict(float)

    def observe(self, value: str, seconds: float) -> None:
        """One took so long."""
        counts = self._counts.get(value)
        if counts is None:
            counts = self._counts[value] = [0] * (len(self._buckets_s) + 1)
        counts[bisect_left(self._buckets_s, seconds)] += 1
        self._sums_s[value] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """For the registry."""
        shown = self._family.histogram()
        bounds = [*map(str, self._buckets_s), "+Inf"]
        for value, counts in self._counts.items():
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            shown.add_metric((value,), buckets, self._sums_s[value])
        yield shown
