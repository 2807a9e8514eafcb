"""The declaration of a metric: name, type, unit, help and labels.

In: nothing. Out: families, from which exposition, docs/metrics.md and tests derive. Counterparts:
`metrics.py`, the `FIGURES` of parts and `overlay.kamailio.statistics` declare them.

A declaration that breaks the naming rules of Prometheus cannot be made. Counters end in `_total`.
Base units come last. No label has a name that Prometheus or /sd sets on a target. The values of
every label are bounded.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)

TARGET_LABELS: Final = ("job", "instance", "farm", "node", "zone")
"""The labels of a target. Prometheus would rename a metric's own label of such a name to
`exported_…`."""
_RESERVED_LABELS: Final = ("le", "quantile", *TARGET_LABELS)
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class Kind(StrEnum):
    """The kind of a metric, which tells what may be done with its figures."""

    COUNTER = "counter"
    """It never falls while the process lives; ask for its rate."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"
    """Always 1. The information is in the labels."""


class Unit(StrEnum):
    """The base unit of a figure, which is the end of its name."""

    NONE = ""
    """A count of the things in the name, a version number, or 1 for yes and 0 for no."""
    SECONDS = "seconds"
    BYTES = "bytes"


@dataclass(frozen=True, kw_only=True)
class Label:
    """A label of a family, and the bound of its values."""

    name: str
    text: str
    """What the values are."""
    values: tuple[str, ...] = ()
    """All possible values; empty if the values are names that the operator configured."""
    values_max: int = 0
    """The largest number of values, if they are not listed."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in _RESERVED_LABELS:
            raise ValueError(f"{self.name} is no name for a label")
        if not self.values and not self.values_max:
            raise ValueError(f"the values of the label {self.name} have no bound")

    @property
    def bound(self) -> int:
        """The largest number of values."""
        return len(self.values) or self.values_max


@dataclass(frozen=True, kw_only=True)
class Family:
    """A metric: all series of one name."""

    name: str
    kind: Kind
    text: str
    """What the metric counts or measures; no full stop at the end."""
    unit: Unit = Unit.NONE
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, ascending."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for a name that breaks the rules."""
        stem = self.name.removesuffix("_total")
        is_counter = self.kind is Kind.COUNTER
        problems = {
            "is no name for a metric": not _NAME.fullmatch(self.name),
            "ends in _total, or is a counter and does not": (stem != self.name) != is_counter,
            "does not end in its unit": bool(self.unit) and not stem.endswith(f"_{self.unit}"),
            "ends in a unit that it does not declare": any(
                stem.endswith(f"_{unit}") and unit is not self.unit for unit in Unit if unit
            ),
            "has no text, or one with a full stop": not self.text or self.text.endswith("."),
            "has buckets without being a histogram, or none": bool(self.buckets)
            != (self.kind is Kind.HISTOGRAM),
        }
        for problem, is_there in problems.items():
            if is_there:
                raise ValueError(f"{self.name} {problem}")

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, in the order in which values are given."""
        return tuple(label.name for label in self.labels)

    @property
    def series_max(self) -> int:
        """The largest number of sets of label values. A histogram has several series for each."""
        product = 1
        for label in self.labels:
            product *= label.bound
        return product

    def counter(self) -> CounterMetricFamily:
        """An empty counter, to be filled and given to the registry."""
        return CounterMetricFamily(self.name, self.text, labels=self.label_names, unit=self.unit)

    def gauge(self) -> GaugeMetricFamily:
        """An empty gauge, to be filled and given to the registry."""
        return GaugeMetricFamily(self.name, self.text, labels=self.label_names, unit=self.unit)

    def numbers(self) -> CounterMetricFamily | GaugeMetricFamily:
        """An empty counter or gauge, as declared, to be filled and given to the registry."""
        return self.counter() if self.kind is Kind.COUNTER else self.gauge()

    def histogram(self) -> HistogramMetricFamily:
        """An empty histogram, to be filled and given to the registry."""
        return HistogramMetricFamily(self.name, self.text, labels=self.label_names, unit=self.unit)

    def info(self) -> InfoMetricFamily:
        """An empty info metric, to be filled and given to the registry. Its name there lacks
        `_info`."""
        return InfoMetricFamily(self.name.removesuffix("_info"), self.text, labels=())
