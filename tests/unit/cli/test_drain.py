"""The output and exit codes of `sipfarm node drain` and `undrain`."""

import json

import pytest

from overlay.cli import drain
from overlay.control.control_protocol import Refused
from overlay.control.operator_messages import Drain, Drained
from overlay.records.draining import DrainPhase, DrainWish, Missing, Withheld
from tests.unit.cli.conftest import Cli, PlayedDaemon

BEGUN = Drained(id=0, phase=DrainPhase.DRAINING, records=9, unproven=4, journal=2)
DONE = Drained(id=0, phase=DrainPhase.DRAINED, records=9, copies=3)
LOOK_EVERY_S = 0.05


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "LOOK_EVERY_S", LOOK_EVERY_S)


def test_it_waits_until_all_is_proven(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(BEGUN, BEGUN, DONE)
    done = cli.run("node", "drain")
    assert (done.code, done.out) == (0, "drained: 9 records, each on 3 or more other nodes\n")
    wishes = [request.wish for request in played.asked if isinstance(request, Drain)]
    assert wishes == [DrainWish.BEGIN, DrainWish.LOOK, DrainWish.LOOK]


def test_it_says_what_is_missing_when_its_time_is_up(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(*[BEGUN] * 10)
    done = cli.run("node", "drain", "--wait", "0.06")
    assert done.code == 4
    assert done.out == ("draining: 4 of 9 records to be proven; 2 call events on too few disks\n")


KEY = bytes(20)
STILL = Drained(
    id=0,
    phase=DrainPhase.DRAINING,
    records=30,
    unproven=12,
    journal=1,
    still_s=6.2,
    missing=(
        Missing(kind="registration", name="alice@farm.test", key=KEY, peers=("n2", "n3")),
        Missing(kind="registration", name="", key=KEY, peers=("n3",)),
        Missing(kind="call", name="call-1", key=KEY),
    ),
    peers=(Withheld(name="n3", records=12, why="no answer in time"),),
    events=(Missing(kind="STOP", name="call-2", key=KEY, peers=("n3",)),),
)


def test_it_names_what_it_waits_for_when_nothing_moves(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(*[STILL] * 10)
    done = cli.run("node", "drain", "--wait", "0.06")
    assert done.code == 4
    assert done.out.splitlines() == [
        "draining: 12 of 30 records to be proven; 1 call events on too few disks",
        "nothing has moved for 6 s; it waits for:",
        "  registration alice@farm.test, not on n2, n3",
        f"  registration with key {KEY.hex()}, not on n3",
        "  call call-1, not on any other node",
        "  and 9 more records",
        "  STOP call-2, not on n3",
        "  n3 has not confirmed 12 records: no answer in time",
    ]


def test_it_tells_meanwhile_what_it_waits_for(
    cli: Cli, played: PlayedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overlay.cli.drain.TELL_EVERY_S", 0.0)
    played.answer(STILL, BEGUN, DONE)
    done = cli.run("node", "drain")
    assert done.code == 0
    told = done.err.splitlines()
    assert told[0] == "sipfarm: 12 of 30 records to be proven; 1 call events on too few disks"
    assert told[1] == "sipfarm: nothing has moved for 6 s; it waits for:"
    assert told[2] == "sipfarm:   registration alice@farm.test, not on n2, n3"
    assert told[8] == "sipfarm: 4 of 9 records to be proven; 2 call events on too few disks"


def test_programs_get_the_same_as_fields(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(STILL)
    shown = json.loads(cli.run("node", "drain", "--wait", "0", "--json").out)
    assert shown["still_s"] == 6.2
    assert shown["missing"][0] == {
        "kind": "registration",
        "name": "alice@farm.test",
        "key": KEY.hex(),
        "peers": ["n2", "n3"],
    }
    assert [each["name"] for each in shown["events"]] == ["call-2"]
    assert shown["peers"] == [{"name": "n3", "records": 12, "why": "no answer in time"}]


def test_it_may_only_begin(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(BEGUN)
    done = cli.run("node", "drain", "--wait", "0", "--force", "--json")
    assert done.code == 0
    shown = json.loads(done.out)
    assert (shown["phase"], shown["drained"], shown["unproven"]) == ("draining", False, 4)
    (asked,) = played.asked
    assert isinstance(asked, Drain)
    assert asked.wish is DrainWish.BEGIN_FORCED


def test_a_refusal_says_why(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(Refused(id=0, code="unavailable", reason="1 other nodes would stay"))
    done = cli.run("node", "drain")
    assert done.code == 4
    assert "1 other nodes would stay" in done.err


def test_back_into_service(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(Drained(id=0, phase=DrainPhase.SERVING))
    done = cli.run("node", "undrain")
    assert (done.code, done.out) == (0, "serving\n")
