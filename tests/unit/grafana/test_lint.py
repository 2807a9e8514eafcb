"""Every dashboard is as it must be, and the lint finds what is not."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from deploy.docs.metrics import FAMILIES
from grafana.paths import DASHBOARDS, RUNBOOKS
from tests.unit.grafana.lint import problems

KINDS = {name: family.kind.value for name, family in FAMILIES.items()}
PAGES = [path.stem for path in RUNBOOKS.glob("*.md")]
FILES = sorted(DASHBOARDS.glob("*.json"))


def read(name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"))
    return made


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_a_dashboard_is_as_it_must_be(name: str) -> None:
    assert problems(read(name), KINDS, PAGES) == []


def test_every_runbook_is_linked_to() -> None:
    """From a panel that shows what its alert is about."""
    linked = {
        link["url"].rpartition("/")[2]
        for path in FILES
        for panel in read(path.stem)["panels"]
        for link in panel.get("links", ())
    }
    assert {f"{page}.md" for page in PAGES} - linked == set()


def first_graph(dashboard: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(
        panel
        for panel in dashboard["panels"]
        if panel["type"] == "timeseries" and len(panel["targets"]) > 1
    )
    return found


BREAK: dict[str, Callable[[dict[str, Any]], object]] = {
    "has no variable for the datasource": lambda d: d["templating"]["list"].pop(0),
    "has no variable for the farm": lambda d: d["templating"]["list"].pop(1),
    "has no description": lambda d: first_graph(d).pop("description"),
    "has no title": lambda d: first_graph(d).update(title=""),
    "has no query": lambda d: first_graph(d).update(targets=[]),
    "has the unit None": lambda d: first_graph(d)["fieldConfig"]["defaults"].pop("unit"),
    "asks another datasource": lambda d: first_graph(d).update(datasource={"uid": "other"}),
    "its queries are called ['A', 'A'": lambda d: first_graph(d)["targets"][1].update(refId="A"),
    "is there 2 times": lambda d: d["panels"][0].update(id=d["panels"][1]["id"]),
    "panels lie on each other": lambda d: first_graph(d)["gridPos"].update(y=0),
    "outside of the grid": lambda d: first_graph(d)["gridPos"].update(x=23),
    "asks of every farm": lambda d: first_graph(d)["targets"][0].update(expr="up"),
    "sipfarm_lost_total is no metric": lambda d: first_graph(d)["targets"][0].update(
        expr='sipfarm_lost_total{farm="$farm"}'
    ),
    "takes the rate of a gauge": lambda d: first_graph(d)["targets"][0].update(
        expr='rate(sipfarm_links{farm="$farm"}[$__rate_interval])'
    ),
    "has a window of its own": lambda d: first_graph(d)["targets"][0].update(
        expr='rate(sipfarm_commits_total{farm="$farm"}[5m])'
    ),
    "which is not there": lambda d: first_graph(d).update(links=[{"url": "https://x/NoAlert.md"}]),
    "has the schema 99": lambda d: d.update(schemaVersion=99),
}


@pytest.mark.parametrize("problem", BREAK)
def test_the_lint_finds(problem: str) -> None:
    dashboard = copy.deepcopy(read("sipfarm-node"))
    BREAK[problem](dashboard)
    assert any(problem in each for each in problems(dashboard, KINDS, PAGES))
