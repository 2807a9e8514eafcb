"""What must be so of every dashboard, whoever wrote it.

In: a dashboard's JSON, as Grafana reads it. Out: what is wrong with it, in words. Counterpart:
`test_lint.py`.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from grafana.board import Unit

SCHEMA_MAX: Final = 42
"""Of a dashboard; Grafana 11 and 12 read it."""
_METRIC: Final = re.compile(r"\b(?:sipfarm|kamailio|process)_[a-z0-9_]+")
_OF_HISTOGRAM: Final = re.compile(r"_(?:bucket|sum|count)$")
_RATE: Final = re.compile(r"\b(?:rate|increase)\(")
_WINDOW: Final = re.compile(r"\[[^\]]*\]")
_DATASOURCE: Final = {"type": "prometheus", "uid": "$datasource"}


def problems(
    dashboard: Mapping[str, Any], kinds: Mapping[str, str], runbooks: Collection[str] = ()
) -> list[str]:
    """What is wrong; `kinds` are the kinds of all declared metrics, by name, and `runbooks` the
    alerts that have a page."""
    found = [*_variables(dashboard), *_numbers(dashboard)]
    if dashboard["schemaVersion"] > SCHEMA_MAX:
        found.append(f"has the schema {dashboard['schemaVersion']}")
    for panel in dashboard["panels"]:
        if panel["type"] in ("row", "text"):
            continue
        told = [*_panel(panel), *_queries(panel, kinds), *_links(panel, runbooks)]
        found += [f"{panel['title'] or panel['id']}: {each}" for each in told]
    return found


def _variables(dashboard: Mapping[str, Any]) -> Iterator[str]:
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    if variables.get("datasource", {}).get("type") != "datasource":
        yield "has no variable for the datasource"
    if "farm" not in variables:
        yield "has no variable for the farm"
    for name, each in variables.items():
        if each["type"] == "query" and each.get("datasource") != _DATASOURCE:
            yield f"the variable {name} asks another datasource"


def _numbers(dashboard: Mapping[str, Any]) -> Iterator[str]:
    times = Counter(panel["id"] for panel in dashboard["panels"])
    yield from (f"the id {number} is there {n} times" for number, n in times.items() if n > 1)
    places = Counter(
        (x, y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    )
    if any(n > 1 for n in places.values()):
        yield "panels lie on each other"
    if any(x >= 24 for x, _ in places):
        yield "a panel is outside of the grid"


def _panel(panel: Mapping[str, Any]) -> Iterator[str]:
    if not panel.get("title"):
        yield "has no title"
    if not panel.get("description"):
        yield "has no description"
    defaults = panel["fieldConfig"]["defaults"]
    if defaults.get("unit") not in list(Unit):
        yield f"has the unit {defaults.get('unit')}"
    if panel.get("datasource") != _DATASOURCE:
        yield "asks another datasource"
    if not panel.get("targets"):
        yield "has no query"


def _queries(panel: Mapping[str, Any], kinds: Mapping[str, str]) -> Iterator[str]:
    targets = panel.get("targets", ())
    names = [target.get("refId") for target in targets]
    if len(set(names)) < len(names) or not all(names):
        yield f"its queries are called {names}"
    for target in targets:
        expression = target["expr"]
        if target.get("datasource") != _DATASOURCE:
            yield f"{expression} asks another datasource"
        if 'farm="$farm"' not in expression:
            yield f"{expression} asks of every farm"
        if any(each != "[$__rate_interval]" for each in _WINDOW.findall(expression)):
            yield f"{expression} has a window of its own"
        for metric in _METRIC.findall(expression):
            yield from _metric(metric, expression, kinds)


def _metric(metric: str, expression: str, kinds: Mapping[str, str]) -> Iterator[str]:
    kind = kinds.get(metric) or kinds.get(_OF_HISTOGRAM.sub("", metric))
    if kind is None:
        yield f"{metric} is no metric"
    elif kind == "gauge" and _RATE.search(expression):
        yield f"{expression} takes the rate of a gauge"


def _links(panel: Mapping[str, Any], runbooks: Collection[str]) -> Iterator[str]:
    for link in panel.get("links", ()):
        name = link["url"].rpartition("/")[2].removesuffix(".md")
        if name not in runbooks:
            yield f"links to {link['url']}, which is not there"
