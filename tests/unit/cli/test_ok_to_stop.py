"""The answers and exit codes of `sipfarm node ok-to-stop`."""

import json

from overlay.control.control_protocol import Refused
from overlay.control.operator_messages import OkToStop, StopAdvice
from tests.unit.cli.conftest import Cli, PlayedDaemon

NOT_OK = StopAdvice(id=0, node="n2", ok=False, reasons=("n3 is dead for 7 s", "n1 is not ready"))


def test_it_is(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(StopAdvice(id=0, node="n2", ok=True))
    done = cli.run("node", "ok-to-stop", "n2")
    assert (done.code, done.out, done.err) == (0, "n2 may be stopped\n", "")
    (asked,) = played.asked
    assert isinstance(asked, OkToStop)
    assert asked.node == "n2"


def test_it_is_not_for_a_reason_a_line(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(NOT_OK)
    done = cli.run("node", "ok-to-stop", "n2")
    assert (done.code, done.out) == (4, "n3 is dead for 7 s\nn1 is not ready\n")


def test_programs_get_fields(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(NOT_OK)
    done = cli.run("node", "ok-to-stop", "n2", "--json")
    assert done.code == 4
    assert json.loads(done.out) == {
        "node": "n2",
        "ok": False,
        "reasons": ["n3 is dead for 7 s", "n1 is not ready"],
    }


def test_there_is_no_such_node(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(Refused(id=0, code="not-found", reason="there is no node 'n9' in the farm"))
    done = cli.run("node", "ok-to-stop", "n9")
    assert (done.code, done.out) == (1, "")
    assert "n9" in done.err
