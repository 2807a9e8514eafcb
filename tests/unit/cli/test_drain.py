"""`sipfarm node drain` and `undrain`."""

import json

from overlay.control.messages import Drain, Drained, DrainPhase, DrainWish, Refused
from tests.unit.cli.conftest import Cli, PlayedDaemon

BEGUN = Drained(id=0, phase=DrainPhase.DRAINING, records=9, unproven=4, journal=2)
DONE = Drained(id=0, phase=DrainPhase.DRAINED, records=9, copies=3)


def test_it_waits_until_all_is_proven(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(BEGUN, BEGUN, DONE)
    done = cli.run("node", "drain")
    assert (done.code, done.out) == (0, "drained: 9 records, each on 3 or more other nodes\n")
    wishes = [request.wish for request in played.asked if isinstance(request, Drain)]
    assert wishes == [DrainWish.BEGIN, DrainWish.LOOK, DrainWish.LOOK]


def test_it_says_what_is_missing_when_its_time_is_up(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(*[BEGUN] * 10)
    done = cli.run("node", "drain", "--wait", "0.6")
    assert done.code == 4
    assert done.out == ("draining: 4 of 9 records to be proven; 2 call events on too few disks\n")


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
