"""Counts for Prometheus of what happens with every message.

In: what happens, on the event loop. Out: the same figures as the client library's counters and
histograms give. Counterpart: `metrics.py` names them. The library's own take a lock and several
calls for each count: with some of them at every event, a tenth of what a small farm's daemon does.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class Tally(Collector):
    """A counter by the values of its labels."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._counts: defaultdict[tuple[str, ...], int] = defaultdict(int)

    def inc(self, *values: str) -> None:
        """One more; a value for each label."""
        self._counts[values] += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        """For the registry."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, count in self._counts.items():
            family.add_metric(values, count)
        yield family


class Durations(Collector):
    """A histogram of seconds by one label."""

    def __init__(self, name: str, text: str, label: str, buckets_s: Sequence[float]) -> None:
        """`buckets_s`: upper bounds, included, ascending."""
        self._name, self._text, self._label = name, text, label
        self._buckets_s = buckets_s
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
        family = HistogramMetricFamily(self._name, self._text, labels=(self._label,))
        bounds = [*map(str, self._buckets_s), "+Inf"]
        for value, counts in self._counts.items():
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            family.add_metric((value,), buckets, self._sums_s[value])
        yield family
