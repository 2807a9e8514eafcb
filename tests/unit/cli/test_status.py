"""The output and exit codes of `sipfarm status` and `sipfarm nodes`."""

import json

import msgspec
import pytest

from overlay.control.operator_messages import Status
from overlay.records.node_status import NodeStatus

from .conftest import Cli, PlayedDaemon

N1 = NodeStatus(
    name="n1",
    id="ab" * 20,
    address="192.0.2.1:7460",
    state="alive",
    version="0.1.0",
    uptime_s=93_784.0,
    ready=True,
    bindings=3,
    calls=2,
    subscribers=1,
    journal_depth=4,
    redis="ok",
    disk="ok",
    zone="east",
    proxy="ok",
    shed=12,
    installed="0.1.0",
)
N2 = NodeStatus(name="n2", id="cd" * 20, address="192.0.2.2:7460", state="dead")
UNREADY = NodeStatus(
    name="n3",
    id="ef" * 20,
    address="192.0.2.3:7460",
    state="alive",
    version="0.1.0",
    installed="0.2.0",
    unready=("a quorum write failed", "Kamailio: no answer to OPTIONS\x1b"),
)
DRAINING = msgspec.structs.replace(UNREADY, draining=True)


def test_a_line_a_node(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(Status(id=0, farm="farm.test", nodes=(N1, N2, UNREADY, DRAINING)))
    done = cli.run("status")
    assert (done.code, done.err) == (0, "")
    title, header, *rows = done.out.splitlines()
    rows, reasons = rows[:4], rows[4:]
    assert title == "farm farm.test"
    assert header.split()[:4] == ["NODE", "STATE", "READY", "ADDRESS"]
    assert (
        " ".join(rows[0].split())
        == "n1 alive yes 192.0.2.1:7460 east 1d2h 0.1.0 3 2 1 4 ok ok ok, 12 shed"
    )
    assert rows[1].split() == ["n2", "dead", "no", "192.0.2.2:7460", *"-" * 10]
    assert rows[2].split()[:3] == ["n3", "alive", "no"]
    assert " ".join(rows[2].split()[5:]).startswith("0s 0.1.0 (0.2.0 installed) 0 0 0")
    assert rows[3].split()[:3] == ["n3", "draining", "no"]
    assert reasons[:2] == [
        "n3 is not ready: a quorum write failed",
        "n3 is not ready: Kamailio: no answer to OPTIONS\\x1b",
    ]


def test_json_has_the_fields_of_the_message(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(Status(id=0, farm="farm.test", nodes=(N1,)))
    shown = json.loads(cli.run("status", "--json").out)
    assert list(shown) == ["farm", "nodes"]
    assert shown["nodes"] == [
        {
            "name": "n1",
            "id": "ab" * 20,
            "address": "192.0.2.1:7460",
            "state": "alive",
            "version": "0.1.0",
            "uptime_s": 93784.0,
            "ready": True,
            "bindings": 3,
            "calls": 2,
            "subscribers": 1,
            "journal_depth": 4,
            "redis": "ok",
            "disk": "ok",
            "zone": "east",
            "draining": False,
            "proxy": "ok",
            "shed": 12,
            "since_s": 0.0,
            "lease": "",
            "lease_s": 0.0,
            "installed": "0.1.0",
            "unready": [],
        }
    ]


@pytest.mark.parametrize(("nodes", "code"), [((UNREADY, N1), 1), ((N1, UNREADY), 0), ((), 1)])
def test_the_code_is_the_asked_nodes_readiness(
    cli: Cli, played: PlayedDaemon, nodes: tuple[NodeStatus, ...], code: int
) -> None:
    played.answer(*[Status(id=0, farm="farm.test", nodes=nodes)] * 2)
    assert cli.run("status").code == code
    assert cli.run("status", "--json").code == code


def test_nodes_are_listed_with_their_ids(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(*[Status(id=0, farm="farm.test", nodes=(N1, N2))] * 4)
    assert [line.split() for line in cli.run("nodes").out.splitlines()] == [
        ["NODE", "STATE", "ADDRESS", "ID"],
        ["n1", "alive", "192.0.2.1:7460", "ab" * 20],
        ["n2", "dead", "192.0.2.2:7460", "cd" * 20],
    ]
    dead = json.loads(cli.run("nodes", "--state", "dead", "--json").out)
    assert [node["name"] for node in dead["nodes"]] == ["n2"]
    assert cli.run("nodes", "--state", "dead").code == 0
    assert cli.run("nodes", "--state", "left").code == 1
