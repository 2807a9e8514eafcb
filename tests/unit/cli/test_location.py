"""The output and exit codes of `sipfarm location`."""

import json
import time

import pytest

from overlay.control.operator_messages import GetLocation, Location
from overlay.records.registration import Binding
from overlay.records.targets import Reach

from .conftest import Cli, PlayedDaemon


def binding(contact: str, left_s: int = 600, *, removed: bool = False, agent: str = "") -> Binding:
    return Binding(
        contact=contact,
        call_id="c1",
        cseq=2,
        expires_at_ms=int((time.time() + left_s) * 1000),
        changed=1,
        q=500,
        removed=removed,
        owner="n1",
        user_agent=agent,
    )


def location(reach: Reach, *bindings: Binding) -> Location:
    return Location(
        id=0,
        aor="alice@farm.test",
        reach=reach,
        bindings=bindings,
        replicas=("n3", "n1"),
        elapsed_us=1234,
    )


def test_bindings_in_force_and_who_holds_them(cli: Cli, played: PlayedDaemon) -> None:
    bindings = (
        binding("sip:a@192.0.2.9", agent="phone\x1b[2J"),
        binding("sip:b@192.0.2.9", removed=True),
        binding("sip:c@192.0.2.9", -5),
    )
    played.answer(*[location(Reach.FOUND, *bindings)] * 2)
    done = cli.run("location", "alice")
    assert (done.code, done.err) == (0, "")
    _, row, holders = done.out.splitlines()
    assert row.startswith("sip:a@192.0.2.9  20")
    assert " (9m59s)  0.5  n1     -         phone\\x1b[2J  2     c1" in row
    assert holders == "held by n1, n3; read in 1.2 ms"
    everything = cli.run("location", "alice", "--all").out
    assert "sip:b@192.0.2.9  removed" in everything
    assert "sip:c@192.0.2.9  expired" in everything


@pytest.mark.parametrize(
    ("reach", "words"),
    [
        (Reach.OFFLINE, "alice@farm.test is a subscriber, but not registered"),
        (Reach.UNKNOWN, "alice@farm.test is no subscriber of this farm"),
    ],
)
def test_who_is_not_there_is_1(cli: Cli, played: PlayedDaemon, reach: Reach, words: str) -> None:
    played.answer(*[location(reach)] * 2)
    done = cli.run("location", "alice")
    assert (done.code, done.out, done.err) == (1, "", f"sipfarm: {words}\n")
    done = cli.run("location", "alice", "--json")
    assert (done.code, done.err) == (1, "")
    assert json.loads(done.out)["reach"] == reach.name.lower()


def test_json_has_every_binding(cli: Cli, played: PlayedDaemon) -> None:
    one = binding("sip:a@192.0.2.9", removed=True)
    played.answer(location(Reach.FOUND, one))
    shown = json.loads(cli.run("location", "alice", "--json").out)
    assert list(shown) == ["aor", "reach", "bindings", "replicas", "elapsed_us", "complete"]
    assert shown["replicas"] == ["n3", "n1"]
    assert shown["bindings"] == [
        {
            "contact": "sip:a@192.0.2.9",
            "call_id": "c1",
            "cseq": 2,
            "expires_at_ms": one.expires_at_ms,
            "changed": 1,
            "q": 500,
            "removed": True,
            "received": "",
            "owner": "n1",
            "path": [],
            "user_agent": "",
            "instance": "",
            "reg_id": 0,
        }
    ]


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("alice", "alice@farm.test"),
        ("alice@FARM.test", "alice@farm.test"),
        ("sip:al%69ce@farm.test.", "alice@farm.test"),
        ("SIPS:alice@farm.test", "alice@farm.test"),
        ("+49301234", "+49301234@farm.test"),
    ],
)
def test_names_are_understood_as_people_type_them(
    cli: Cli, played: PlayedDaemon, typed: str, asked: str
) -> None:
    played.answer(location(Reach.UNKNOWN))
    cli.run("location", typed)
    (request,) = played.asked
    assert isinstance(request, GetLocation)
    assert request.aor == asked


@pytest.mark.parametrize(
    "typed", ["", "sip:", "@farm.test", "alice@", "a@b c", "alice@other.test", "alice@farm.test;x"]
)
def test_other_names_are_2_and_not_asked_for(cli: Cli, played: PlayedDaemon, typed: str) -> None:
    assert cli.run("location", typed).code == 2
    assert played.asked == []


def test_without_a_configuration_the_domain_is_needed(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(location(Reach.FOUND, binding("sip:a@192.0.2.9")))
    cli.config.unlink()
    socket = ("--socket", str(cli.directory / "control.sock"))
    assert cli.run(*socket, "location", "alice", config=False).code == 2
    assert cli.run(*socket, "location", "alice@farm.test", config=False).code == 0
