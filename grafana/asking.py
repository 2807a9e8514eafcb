"""Asks Prometheus what a dashboard asks, as Grafana would, without one.

In: a dashboard's JSON, an interface to Prometheus, a span of time. Out: the choices of its
variables, the answer to each query. Counterparts: a Prometheus; `looking.py` draws the answers,
`tests/monitoring` looks whether there are any.
"""

import json
import math
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from grafana.promql import expanded

_ANSWER_S: Final = 20.0
_LABEL_VALUES: Final = re.compile(r"label_values\((?P<metric>.*), (?P<label>\w+)\)")
_POINTS: Final = 240
"""Of a series, about as many as a panel has room for."""


class Prometheus(Protocol):
    """What answers."""

    def ask(self, what: str, **parameters: str) -> Any:
        """What the interface below /api/v1 says."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A Prometheus by its URL."""

    url: str

    def ask(self, what: str, **parameters: str) -> Any:
        """What the interface below /api/v1 says; raises `OSError`."""
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=_ANSWER_S) as page:
            return json.loads(page.read())["data"]


@dataclass(frozen=True, kw_only=True)
class Span:
    """The time that a dashboard shows, in seconds since 1970 and seconds."""

    begin_s: float
    end_s: float
    scrape_interval_s: float

    @property
    def step_s(self) -> float:
        """From point to point."""
        return max(self.scrape_interval_s, round((self.end_s - self.begin_s) / _POINTS))

    @property
    def rate_interval_s(self) -> float:
        """`$__rate_interval`: four scrapes, or a step and one."""
        return max(4 * self.scrape_interval_s, self.step_s + self.scrape_interval_s)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What Prometheus says to one query of one panel."""

    panel: str
    panel_id: int
    ref_id: str
    expression: str
    """With nothing left in it that only Grafana knows."""
    series: list[dict[str, Any]]
    """`metric`: labels; `values`: pairs of seconds and a figure as text."""

    @property
    def has_data(self) -> bool:
        """Whether there is any figure that is one."""
        return any(
            math.isfinite(float(value)) for each in self.series for _, value in each["values"]
        )


def choices(
    dashboard: Mapping[str, Any], prometheus: Prometheus, chosen: Mapping[str, str]
) -> dict[str, str]:
    """The value of each variable: what was chosen, else all, else the first that there is; empty if
    there is none."""
    values: dict[str, str] = {"datasource": "prometheus"}
    for variable in dashboard["templating"]["list"]:
        name = variable["name"]
        if variable["type"] != "query":
            continue
        asked = expanded(variable["query"]["query"], values)
        found = _LABEL_VALUES.fullmatch(asked)
        assert found is not None, asked
        offered = prometheus.ask(f"label/{found['label']}/values", **{"match[]": found["metric"]})
        everything = variable.get("allValue", "") if offered else ""
        values[name] = chosen.get(name) or everything or next(iter(offered), "")
    return values


def answers(
    dashboard: Mapping[str, Any],
    prometheus: Prometheus,
    span: Span,
    chosen: Mapping[str, str] | None = None,
) -> Iterator[Answer]:
    """To every query of every panel."""
    variables = choices(dashboard, prometheus, chosen or {})
    variables["__rate_interval"] = f"{span.rate_interval_s:g}s"
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            expression = expanded(target["expr"], variables)
            yield Answer(
                panel=panel["title"],
                panel_id=panel["id"],
                ref_id=target["refId"],
                expression=expression,
                series=_series(prometheus, expression, span, bool(target.get("instant"))),
            )


def _series(
    prometheus: Prometheus, expression: str, span: Span, is_instant: bool
) -> list[dict[str, Any]]:
    if is_instant:
        told = prometheus.ask("query", query=expression, time=f"{span.end_s:.3f}")
        return [{"metric": each["metric"], "values": [each["value"]]} for each in told["result"]]
    told = prometheus.ask(
        "query_range",
        query=expression,
        start=f"{span.begin_s:.3f}",
        end=f"{span.end_s:.3f}",
        step=f"{span.step_s:g}",
    )
    found: list[dict[str, Any]] = told["result"]
    return found
