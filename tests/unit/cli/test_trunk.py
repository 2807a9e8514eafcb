"""`sipfarm trunk` makes signed settings from its arguments, and never shows a password."""

import json

import msgspec
import pytest

from overlay.control import control_protocol, operator_messages
from overlay.control.control_protocol import ControlAnswer, ControlRequest
from overlay.identity import operator
from overlay.identity.operator import OperatorKey
from overlay.records import settings
from overlay.records.settings import FarmSettings, Gateway, Rule, SettingsRecord
from tests.unit.cli.conftest import Cli, Outcome, PlayedDaemon


class Settings:
    """A daemon that keeps settings."""

    def __init__(self, cli: Cli, played: PlayedDaemon) -> None:
        self.cli = cli
        self.key: OperatorKey = operator.generate()
        self.key.save(cli.directory)
        self.record: SettingsRecord = settings.NONE
        played.script = self._answer

    def _answer(self, request: ControlRequest) -> ControlAnswer:
        if isinstance(request, operator_messages.GetSettings):
            return operator_messages.SettingsInForce(id=0, body=settings.encode(self.record))
        assert isinstance(request, operator_messages.PutSettings)
        record = settings.admit(request.body, self.key.public)
        assert record.version > self.record.version
        self.record = record
        return control_protocol.Done(id=0)

    @property
    def content(self) -> FarmSettings:
        return settings.content(self.record)

    def run(self, *argv: str) -> Outcome:
        signs = argv[0] not in ("list", "show", "route")
        key = ("--operator-key", str(self.cli.directory / "operator.key")) if signs else ()
        outcome = self.cli.run("trunk", *argv, *key)
        assert "hunter2" not in outcome.out + outcome.err
        return outcome

    def json(self, *argv: str) -> dict[str, object]:
        outcome = self.run(*argv, "--json")
        assert outcome.code == 0, outcome.err
        found: dict[str, object] = json.loads(outcome.out)
        return found


@pytest.fixture
def farm(cli: Cli, played: PlayedDaemon) -> Settings:
    return Settings(cli, played)


def add(farm: Settings, name: str = "north", *more: str) -> Outcome:
    gateways = ("--gateway", "192.0.2.1:5080,tcp,weight=7", "--gateway", "gw.example,priority=1")
    return farm.run("add", name, "--prefixes", "+49,+43", *gateways, *more)


def test_a_trunk_is_added_changed_shown_and_removed(farm: Settings) -> None:
    login = ("--username", "4711", "--password", "hunter2", "--sources", "192.0.2.0/24")
    added = add(farm, "north", *login, "--dial", "+49,strip=3,prepend=0 +,strip=1,prepend=00")
    assert added.code == 0, added.err
    (trunk,) = farm.content.trunks
    assert trunk.gateways == (
        Gateway(host="192.0.2.1", port=5080, transport="tcp", weight=7),
        Gateway(host="gw.example", priority=1),
    )
    assert trunk.dial == (
        Rule(match="+49", strip=3, prepend="0"),
        Rule(match="+", strip=1, prepend="00"),
    )
    assert (trunk.username, trunk.password) == ("4711", "hunter2")
    assert "192.0.2.1:5080,tcp,priority=0,weight=7" in added.out

    assert farm.run("set", "north", "--prefixes", "+").code == 0
    assert farm.content.trunks == (msgspec.structs.replace(trunk, prefixes=("+",)),)
    assert farm.json("show", "north")["password"] == "********"
    assert "north" in farm.run("list").out
    assert farm.json("list")["trunks"]

    assert farm.run("set", "north", "--username", "").code == 0
    assert farm.content.trunks[0].password == ""
    assert farm.run("remove", "north").code == 0
    assert farm.content.trunks == ()


def test_what_makes_no_sense_changes_nothing(farm: Settings) -> None:
    assert add(farm).code == 0
    before = farm.record
    wrong = (
        ("add", "north", "--prefixes", "+", "--gateway", "x"),
        ("add", "South", "--prefixes", "+", "--gateway", "x"),
        ("add", "south", "--prefixes", "49", "--gateway", "x"),
        ("add", "south", "--prefixes", "+"),
        ("add", "south", "--gateway", "x"),
        ("add", "south", "--prefixes", "+", "--gateway", "x,sctp"),
        ("add", "south", "--prefixes", "+", "--gateway", "x:99999"),
        ("add", "south", "--prefixes", "+", "--gateway", "x y"),
        ("add", "south", "--sources", "example.org", "--gateway", "x"),
        ("set", "north"),
        ("numbering", "--country", "+49"),
        ("emergency", "--trunks", "south"),
    )
    for argv in wrong:
        assert farm.run(*argv).code == 2, argv
    for argv in (("set", "south", "--prefixes", "+"), ("remove", "south"), ("show", "south")):
        assert farm.run(*argv).code == 1, argv
    assert farm.record == before


def test_settings_that_are_not_the_operators_are_not_signed_again(farm: Settings) -> None:
    farm.record = settings.signed(5, FarmSettings(), operator.generate())
    refused = add(farm)
    assert refused.code == 4
    assert "signature" in refused.err
    assert farm.record.version == 5


def test_route_explains(farm: Settings) -> None:
    assert add(farm, "north", "--domains", "north.example").code == 0
    gateway = ("--gateway", "[2001:db8::1]")
    assert farm.run("add", "berlin", "--prefixes", "+4930", *gateway).code == 0
    assert farm.json("numbering", "--country", "49")["country"] == "49"
    assert farm.json("emergency", "--trunks", "north,berlin")["trunks"] == ["north", "berlin"]

    def tries(number: str) -> list[tuple[str, str]]:
        found = farm.json("route", number)["tries"]
        assert isinstance(found, list)
        return [(each["trunk"], each["uri"]) for each in found]

    assert tries("030 123") == [("berlin", "sip:+4930123@[2001:db8::1];transport=udp")]
    assert tries("089123") == [
        ("north", "sip:+4989123@192.0.2.1:5080;transport=tcp"),
        ("north", "sip:+4989123@gw.example;transport=udp"),
    ]
    assert [trunk for trunk, _ in tries("urn:service:sos.police")] == ["north", "north", "berlin"]
    assert tries("x@north.example")[0] == ("north", "sip:x@north.example")
    for nowhere in ("0040123", "+1212", "bob"):
        assert farm.run("route", nowhere).code == 1
    assert "+4930 of trunk berlin" in farm.run("route", "+4930123").out
    assert farm.run("remove", "berlin").code == 2
