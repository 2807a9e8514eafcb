"""What a dashboard is, in the words of this project: boards, sections, panels, queries.

In: nothing. Out: declarations that cannot be made incomplete. Counterparts: `boards/` declares,
`building.py` makes of them what Grafana reads.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

GRID_WIDTH: Final = 24
"""Of Grafana's grid, in columns."""


class Unit(StrEnum):
    """The unit of a panel's figures, by Grafana's identifier."""

    COUNT = "short"
    PER_SECOND = "cps"
    """Whatever is counted, a second."""
    REQUESTS_PER_SECOND = "reqps"
    SECONDS = "s"
    BYTES = "bytes"
    SHARE = "percentunit"
    """1 is all of it."""
    YES_OR_NO = "bool_yes_no"


class Kind(StrEnum):
    """How a panel shows its figures."""

    GRAPH = "graph"
    NUMBER = "number"
    """The figures of now, large."""
    TABLE = "table"
    """The figures of now, a row for each node."""
    NOTE = "note"
    """Words, no figures."""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """From where on a figure is to be looked at, and from where on it is bad."""

    warning: float
    critical: float

    @property
    def low_is_bad(self) -> bool:
        """Whether a small figure is the bad one."""
        return self.critical < self.warning


@dataclass(frozen=True, kw_only=True)
class Query:
    """A question to Prometheus in PromQL, with Grafana's variables in it."""

    expression: str
    legend: str
    """The name of each series, labels as `{{label}}`; of a table, the column's head."""
    unit: Unit | None = None
    """Of a table's column; elsewhere the panel's."""
    marks: Marks | None = None
    """The same."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture."""

    title: str
    text: str
    """What it shows, and what to think of it."""
    kind: Kind
    queries: tuple[Query, ...] = ()
    unit: Unit = Unit.COUNT
    marks: Marks | None = None
    is_stacked: bool = False
    width: int = GRID_WIDTH // 2
    height: int = 8
    alerts: tuple[str, ...] = ()
    """Alerts about what it shows; the panel links to their runbooks."""

    def __post_init__(self) -> None:
        """Raise `ValueError` where something is missing."""
        if not self.title or not self.text:
            raise ValueError(f"the panel {self.title!r} says nothing of itself")
        if bool(self.queries) == (self.kind is Kind.NOTE):
            raise ValueError(f"{self.title} has queries without showing figures, or none")


@dataclass(frozen=True, kw_only=True)
class Section:
    """A row of a board."""

    title: str
    panels: tuple[Panel, ...]


class Nodes(StrEnum):
    """Whether a board asks of which nodes its figures are to be."""

    ALL = "all"
    """It does not."""
    ONE = "one"
    SOME = "some"


@dataclass(frozen=True, kw_only=True)
class Board:
    """A dashboard."""

    name: str
    """Its file is `sipfarm-NAME.json`, and its uid the same."""
    title: str
    text: str
    nodes: Nodes
    sections: tuple[Section, ...] = field(default=())

    @property
    def uid(self) -> str:
        """By which links name it."""
        return f"sipfarm-{self.name}"


def graph(
    title: str,
    text: str,
    unit: Unit,
    *queries: Query,
    marks: Marks | None = None,
    is_stacked: bool = False,
    width: int = GRID_WIDTH // 2,
    alerts: tuple[str, ...] = (),
) -> Panel:
    """Figures over time."""
    return Panel(
        title=title,
        text=text,
        kind=Kind.GRAPH,
        unit=unit,
        queries=queries,
        marks=marks,
        is_stacked=is_stacked,
        width=width,
        alerts=alerts,
    )


def number(
    title: str,
    text: str,
    unit: Unit,
    expression: str,
    *,
    legend: str = "",
    marks: Marks | None = None,
    width: int = 4,
    alerts: tuple[str, ...] = (),
) -> Panel:
    """A figure of now; but for whether and how long, with its last hours behind it."""
    return Panel(
        title=title,
        text=text,
        kind=Kind.NUMBER,
        unit=unit,
        queries=(Query(expression=expression, legend=legend),),
        marks=marks,
        width=width,
        height=4,
        alerts=alerts,
    )


def table(title: str, text: str, *columns: Query, alerts: tuple[str, ...] = ()) -> Panel:
    """A row for each node, a column for each query, which keeps the labels node and zone alone."""
    return Panel(
        title=title,
        text=text,
        kind=Kind.TABLE,
        queries=columns,
        width=GRID_WIDTH,
        alerts=alerts,
    )


def note(title: str, text: str, *, width: int = GRID_WIDTH, height: int = 3) -> Panel:
    """Words that whoever looks at a board has to know; Markdown."""
    return Panel(title=title, text=text, kind=Kind.NOTE, width=width, height=height)
