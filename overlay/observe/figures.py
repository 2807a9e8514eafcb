"""What a part shows to Prometheus: a figure's name, help text and the function that reads it.

In: nothing. Out: declarations. Counterparts: every `Part.figures` makes them; `metrics.py` shows
them. A figure is declared in one place, by the part that knows it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

Sample = tuple[tuple[str, ...], float]
"""The values of a figure's labels, and the number."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One metric of a part, read when Prometheus asks."""

    name: str
    """Without the `_total` that a sum gets when it is shown."""
    text: str
    read: Callable[[], Iterable[Sample]]
    labels: tuple[str, ...] = ()
    is_total: bool = False
    """It never falls while the process lives."""


Figures = tuple[Figure, ...]


def gauge(name: str, text: str, value: Callable[[], float]) -> Figure:
    """A figure that goes up and down."""
    return Figure(name=name, text=text, read=_alone(value))


def total(name: str, text: str, value: Callable[[], float]) -> Figure:
    """A sum that the part counts since the start; `name` comes without `_total`."""
    return Figure(name=name, text=text, read=_alone(value), is_total=True)


def gauges(
    name: str, text: str, labels: tuple[str, ...], read: Callable[[], Iterable[Sample]]
) -> Figure:
    """A figure for each set of label values; the sets may come and go."""
    return Figure(name=name, text=text, read=read, labels=labels)


def _alone(value: Callable[[], float]) -> Callable[[], Iterator[Sample]]:
    def read() -> Iterator[Sample]:
        yield (), value()

    return read
