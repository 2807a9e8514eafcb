"""The figures that a part shows to Prometheus: their families, and how each is read from the part.

In: nothing. Out: declarations. Counterparts: every `Part.FIGURES` consists of them; `metrics.py`
shows them; docs/metrics.md lists them. A figure is declared once, by the part that knows it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from overlay.observe.metric_families import Family, Kind, Unit

Sample = tuple[tuple[str, ...], float]
"""The values of a family's labels, and the number."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A family, and how it is read from the part that shows it."""

    family: Family
    read: Callable[[Any], Iterable[Sample]]
    """Called with the part, when Prometheus asks."""


Figures = tuple[Figure, ...]


def gauge(name: str, text: str, value: Callable[[Any], float], unit: Unit = Unit.NONE) -> Figure:
    """A figure that goes up and down."""
    family = Family(name=name, kind=Kind.GAUGE, text=text, unit=unit)
    return Figure(family=family, read=lambda part: [((), value(part))])


def total(name: str, text: str, value: Callable[[Any], float]) -> Figure:
    """A sum that the part counts since the daemon's start. Its name ends in `_total`."""
    family = Family(name=name, kind=Kind.COUNTER, text=text)
    return Figure(family=family, read=lambda part: [((), value(part))])
