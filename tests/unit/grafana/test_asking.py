"""What Prometheus is asked in place of Grafana, and which answers are data."""

from typing import Any

import pytest

from grafana.asking import Answer, Span, answers, choices

DASHBOARD: dict[str, Any] = {
    "templating": {
        "list": [
            {"name": "datasource", "type": "datasource"},
            {"name": "farm", "type": "query", "query": {"query": "label_values(up, farm)"}},
            {
                "name": "node",
                "type": "query",
                "query": {"query": 'label_values(up{farm="$farm"}, node)'},
                "allValue": ".+",
            },
        ]
    },
    "panels": [
        {"title": "Row", "id": 1},
        {
            "title": "Up",
            "id": 2,
            "targets": [
                {"refId": "A", "expr": 'up{farm="$farm"}'},
                {"refId": "B", "expr": "rate(x[$__rate_interval])", "instant": True},
            ],
        },
    ],
}
SPAN = Span(begin_s=1_000, end_s=4_600, scrape_interval_s=15)


class Asked:
    """Answers everything, and remembers it."""

    def __init__(self, offered: dict[str, list[str]]) -> None:
        self.offered = offered
        self.heard: list[tuple[str, dict[str, str]]] = []

    def ask(self, what: str, **parameters: str) -> Any:
        self.heard.append((what, parameters))
        if what.startswith("label/"):
            return self.offered[what.split("/")[1]]
        if what == "query":
            return {"result": [{"metric": {}, "value": [4_600, "1"]}]}
        return {"result": [{"metric": {"node": "n1"}, "values": [[1_000, "1"]]}]}


def test_variables_are_all_or_the_first_or_what_was_chosen() -> None:
    asked = Asked({"farm": ["a.test", "b.test"], "node": ["n1"]})
    found = choices(DASHBOARD, asked, {})
    assert (found["farm"], found["node"]) == ("a.test", ".+")
    assert asked.heard[1] == ("label/node/values", {"match[]": 'up{farm="a.test"}'})
    assert choices(DASHBOARD, asked, {"farm": "b.test", "node": "n1"})["node"] == "n1"


def test_nothing_to_choose_is_nothing_chosen() -> None:
    found = choices(DASHBOARD, Asked({"farm": [], "node": []}), {})
    assert (found["farm"], found["node"]) == ("", "")


def test_ranges_and_instants_are_asked_as_such() -> None:
    asked = Asked({"farm": ["a.test"], "node": ["n1"]})
    first, second = answers(DASHBOARD, asked, SPAN)
    assert (first.panel, first.panel_id, first.ref_id) == ("Up", 2, "A")
    assert first.expression == 'up{farm="a.test"}'
    assert second.expression == "rate(x[60s])"
    (_, ranged), (_, instant) = asked.heard[2:]
    assert (ranged["start"], ranged["end"], ranged["step"]) == ("1000.000", "4600.000", "15")
    assert instant["time"] == "4600.000"
    assert second.series == [{"metric": {}, "values": [[4_600, "1"]]}]


@pytest.mark.parametrize(
    ("values", "has_data"),
    [([], False), ([[1, "NaN"]], False), ([[1, "+Inf"]], False), ([[1, "NaN"], [2, "0"]], True)],
)
def test_what_is_no_figure_is_no_data(values: list[Any], has_data: bool) -> None:
    series = [{"metric": {}, "values": values}] if values else []
    answer = Answer(panel="Up", panel_id=1, ref_id="A", expression="up", series=series)
    assert answer.has_data is has_data


def test_a_rate_is_taken_over_four_scrapes_or_a_step_and_one() -> None:
    assert SPAN.step_s == 15
    assert SPAN.rate_interval_s == 60
    day = Span(begin_s=0, end_s=86_400, scrape_interval_s=15)
    assert day.rate_interval_s == day.step_s + 15 == 375
