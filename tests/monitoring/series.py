"""Collects `/metrics` again and again, and checks that each series behaves as declared.

In: expositions. Out: what is wrong with them, in words. Counterpart: `test_metrics.py`.
"""

import itertools
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from overlay.observe.metric_families import TARGET_LABELS, Family, Kind

Series = tuple[str, tuple[tuple[str, str], ...]]
"""Name and labels."""


def fetch(url: str) -> str:
    """What a page of a node says."""
    with urllib.request.urlopen(url, timeout=10) as page:
        text: str = page.read().decode()
        return text


def shown(exposition: str) -> dict[str, Metric]:
    """The families of an exposition, by the names that they are declared under."""
    found = {}
    for metric in text_string_to_metric_families(exposition):
        suffix = "_total" if metric.type == "counter" else ""
        found[f"{metric.name}{suffix}"] = metric
    return found


def values(metrics: Mapping[str, Metric]) -> dict[Series, float]:
    """Every series with its figure."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in metrics.values()
        for sample in metric.samples
    }


def undeclared(metrics: Mapping[str, Metric], declared: Mapping[str, Family]) -> list[str]:
    """Families that are shown and not declared, or otherwise than declared."""
    problems = [f"{name} is not declared" for name in metrics if name not in declared]
    problems += [f"{name} is not shown" for name in declared if name not in metrics]
    for name in metrics.keys() & declared.keys():
        problems += _differences(metrics[name], declared[name])
    return problems


def _differences(metric: Metric, family: Family) -> Iterable[str]:
    kind = Kind.GAUGE if family.kind is Kind.INFO else family.kind
    if metric.type != kind:
        yield f"{family.name} is shown as {metric.type} and declared as {family.kind}"
    if metric.documentation.rstrip(".") != family.text:
        yield f"{family.name} has another text"
    sets: set[tuple[str, ...]] = set()
    for sample in metric.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        if sorted(labels) != sorted(family.label_names):
            yield f"{family.name} has the labels {sorted(labels)}"
        if clash := set(labels).intersection(TARGET_LABELS):
            yield f"{family.name} has labels of a target: {clash}"
        for label in family.labels:
            value = labels.get(label.name, "")
            if label.values and value not in label.values:
                yield f'{family.name} has {label.name}="{value}", which is not declared'
        sets.add(tuple(labels.values()))
    if len(sets) > family.series_max:
        yield f"{family.name} has {len(sets)} sets of labels, more than {family.series_max}"


@dataclass
class History:
    """The figures of one process over time."""

    declared: Mapping[str, Family]
    _seen: defaultdict[Series, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, metrics: Mapping[str, Metric]) -> None:
        """What was said next."""
        for series, value in values(metrics).items():
            self._seen[series].append(value)

    def without(self, beginnings: tuple[str, ...]) -> "History":
        """The same process goes on, but for the figures whose names begin so."""
        history = History(self.declared)
        for series, said in self._seen.items():
            if not series[0].startswith(beginnings):
                history._seen[series] = said[-1:]
        return history

    def risen(self) -> set[str]:
        """The names of the series that rose."""
        return {name for (name, _), said in self._seen.items() if said[-1] > said[0]}

    def misbehaving(self) -> list[str]:
        """Counters that fell: they are gauges; and gauges that did nothing but rise: counters."""
        problems = []
        for (name, labels), said in self._seen.items():
            rises = sum(after > before for before, after in itertools.pairwise(said))
            falls = sum(after < before for before, after in itertools.pairwise(said))
            is_gauge = name in self.declared and self.declared[name].kind is Kind.GAUGE
            if falls and not is_gauge:
                problems.append(f"{name}{dict(labels)} is no counter: {_shortened(said)}")
            if is_gauge and not falls and len(said) >= RISES_MIN and rises >= 0.9 * (len(said) - 1):
                problems.append(f"{name}{dict(labels)} is no gauge: {_shortened(said)}")
        return problems


RISES_MIN = 10
"""As often must a figure have been seen before it is called a counter for rising each time."""


def _shortened(said: Sequence[float]) -> str:
    """Where it fell, or its ends."""
    pairs = itertools.pairwise(said)
    fell = next(((a, b) for a, b in pairs if b < a), (said[0], said[-1]))
    return f"{fell[0]:g}, then {fell[1]:g}"
