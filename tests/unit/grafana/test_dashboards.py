"""What is committed is what the boards say, and Grafana's schema has all of it."""

import json
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.board import Board, Unit, graph, number
from grafana.boards import BOARDS
from grafana.building import as_json, read_back
from grafana.paths import DASHBOARDS, PROVISIONING
from grafana.promql import expanded


def committed(board: Board) -> str:
    return (DASHBOARDS / f"{board.uid}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_committed_is_what_the_boards_say(board: Board) -> None:
    assert as_json(board) == committed(board), "run .venv/bin/python -m grafana"


def test_nothing_else_is_committed() -> None:
    names = {path.name for path in DASHBOARDS.iterdir()}
    assert names == {f"{board.uid}.json" for board in BOARDS}
    assert len(names) == 6


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_schema_has_every_field(board: Board) -> None:
    """What the SDK does not know, it loses on the way."""
    read = json.loads(committed(board))
    assert json.loads(json.dumps(read_back(read), cls=JSONEncoder)) == read


def test_provisioning_leads_to_the_dashboards() -> None:
    def said(folder: str) -> dict[str, Any]:
        text = (PROVISIONING / folder / "sipfarm.yml").read_text(encoding="utf-8")
        found: dict[str, Any] = yaml.safe_load(text)
        assert found["apiVersion"] == 1
        return found

    (source,) = said("datasources")["datasources"]
    assert (source["type"], source["access"]) == ("prometheus", "proxy")
    (provider,) = said("dashboards")["providers"]
    assert (provider["type"], provider["folder"]) == ("file", "sipfarm")
    assert provider["options"]["path"] == "/etc/grafana/provisioning/dashboards/sipfarm"


def test_a_panel_says_what_it_shows() -> None:
    with pytest.raises(ValueError, match="says nothing of itself"):
        graph("Calls", "", Unit.COUNT)
    with pytest.raises(ValueError, match="without showing figures"):
        graph("Calls", "Open calls.", Unit.COUNT)
    assert number("Calls", "Open calls.", Unit.COUNT, "sipfarm_open_calls").queries


def test_variables_become_what_was_chosen() -> None:
    chosen = {"farm": "a.test", "node": "n1|n2", "__rate_interval": "60s"}
    asked = expanded('rate(x{farm="$farm", node=~"${node}"}[$__rate_interval])', chosen)
    assert asked == 'rate(x{farm="a.test", node=~"n1|n2"}[60s])'
    with pytest.raises(KeyError):
        expanded("$zone", chosen)
