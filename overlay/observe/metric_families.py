"""What a metric is: one declaration of its name, type, unit, help and labels.

In: nothing. Out: families that exposition, docs/metrics.md and tests derive from. Counterparts:
`metrics.py`, `overlay.daemon.node_metrics` and `overlay.kamailio.statistics` declare them. A
declaration that breaks the naming rules of Prometheus cannot be made: counters end in `_total`,
base units come last, no label is one that Prometheus or /sd sets on a target, and the values of
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
"""What a target has: a metric's own label of that name would become `exported_…`."""
_RESERVED_LABELS: Final = ("le", "quantile", *TARGET_LABELS)
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class Kind(StrEnum):
    """What may be done with a figure."""

    COUNTER = "counter"
    """It never falls while the process lives; ask for its rate."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"
    """Always 1; the labels are what it says."""


class Unit(StrEnum):
    """The base unit in which a figure is given, the end of its name."""

    NONE = ""
    """A count of what the name says, a number of a version, or 1 for yes and 0 for no."""
    SECONDS = "seconds"
    BYTES = "bytes"


@dataclass(frozen=True, kw_only=True)
class Label:
    """A label of a family, and the bound of its values."""

    name: str
    text: str
    """What its values are."""
    values: tuple[str, ...] = ()
    """All values that there can be; empty where they are names that somebody configured."""
    values_max: int = 0
    """How many values there can be at most where they are not listed."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in _RESERVED_LABELS:
            raise ValueError(f"{self.name} is no name for a label")
        if not self.values and not self.values_max:
            raise ValueError(f"the values of the label {self.name} have no bound")

    @property
    def bound(self) -> int:
        """How many values there can be at most."""
        return len(self.values) or self.values_max


@dataclass(frozen=True, kw_only=True)
class Family:
    """A metric: all series of one name."""

    name: str
    kind: Kind
    text: str
    """What it counts or measures; no full stop at the end."""
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
        """How many sets of label values there can be at most; a histogram has several series of
        each."""
        product = 1
        for label in self.labels:
            product *= label.bound
        return product

    def counter(self) -> CounterMetricFamily:
        """Empty, to be filled and given to the registry."""
        return CounterMetricFamily(self.name, self.text, labels=self.label_names, unit=self.unit)

    def gauge(self) -> GaugeMetricFamily:
        """Empty, to be filled and given to the registry."""
        return GaugeMetricFamily(self.name, self.text, labels=self.label_names, unit=self.unit)

    def numbers(self) -> CounterMetricFamily | GaugeMetricFamily:
        """A counter or a gauge, as declared; empty, to be filled and given to the registry."""
        return self.counter() if self.kind is Kind.COUNTER else self.gauge()

    def histogram(self) -> HistogramMetricFamily:
        """Empty, to be filled and given to the registry."""
        return HistogramMetricFamily(self.name, self.text, labels=self.label_names, unit=self.unit)

    def info(self) -> InfoMetricFamily:
        """Empty, to be filled and given to the registry; its name there lacks `_info`."""
        return InfoMetricFamily(self.name.removesuffix("_info"), self.text, labels=())
