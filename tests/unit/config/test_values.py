"""The rules for values of settings: which values pass, and how the complaint about others reads."""

import msgspec
import pytest

from overlay.base.errors import ConfigError
from overlay.config import config
from overlay.config.values import Range, hints_of, rule_of

NODE = {"farm": {"name": "farm.test"}, "node": {"name": "n1", "address": "192.0.2.11"}}


class _Window(msgspec.Struct):
    least: int = 3
    most: int = 9


def problems(**sections: dict[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.parse({**NODE, **sections}, "here")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("rule", "good", "bad", "words", "problem"),
    [
        (Range(1), 1, 0, "1 or more", "must be 1 or more, not 0"),
        (Range(0, 0.5), 0.5, 0.6, "0 to 0.5", "must be from 0 to 0.5, not 0.6"),
        (Range(1, "most"), 9, 10, "1 to `most`", "must be from 1 to most (9), not 10"),
        (
            Range("least", "most"),
            3,
            2,
            "`least` to `most`",
            "must be from least (3) to most (9), not 2",
        ),
    ],
)
def test_a_range_and_its_words(
    rule: Range, good: float, bad: float, words: str, problem: str
) -> None:
    assert rule.words() == words
    assert rule.problem(good, _Window()) == ""
    assert rule.problem(bad, _Window()) == problem


def test_every_number_has_a_range() -> None:
    sections = [
        type(getattr(config.parse(NODE, "here"), name)) for name in config.Config.__annotations__
    ]
    numbers = [
        f"{section.__name__}.{name}"
        for section in sections
        for name, hint in hints_of(section).items()
        if (getattr(hint, "__origin__", hint) in (int, float)) and rule_of(hint) is None
    ]
    assert numbers == []


@pytest.mark.parametrize(
    ("section", "setting", "value", "problem"),
    [
        ("farm", "name", "Farm.test", "'Farm.test' is not a lower-case domain name"),
        ("node", "name", "n1.farm", "'n1.farm' is not a lower-case DNS label"),
        ("node", "address", "0.0.0.0", "'0.0.0.0' is not an IP address that other hosts"),
        ("node", "address6", "192.0.2.1", "'192.0.2.1' is not an IPv6 address"),
        ("node", "zone", "Hall", "'Hall' is not a lower-case DNS label"),
        ("node", "capacity", 65_536, "must be from 0 to 65535, not 65536"),
        ("overlay", "bootstrap", ["n2:x"], "'n2:x' is not `address`, `address:port`"),
        ("overlay", "write_quorum", 4, r"must be from 1 to replicas \(3\), not 4"),
        ("proxy", "tls_port", 70_000, "must be from 0 to 65535, not 70000"),
        ("proxy", "expires_default_s", 30, r"must be from expires_min_s \(60\)"),
        ("proxy", "ws_origins", ["phone"], "'phone' is not like"),
        ("proxy", "trusted_peers", ["a b"], "'a b' is not an address, a network or"),
        ("media", "relays", ["tcp:x:1"], "'tcp:x:1' is not like `udp:"),
        ("billing", "session_s", -1, "must be 0 or more, not -1"),
        ("export", "webhook", "ftp://x", "'ftp://x' is not an http or https URL"),
        ("export", "postgresql_table", "", "'' is not a table's name"),
    ],
)
def test_a_value_that_cannot_be_is_named(
    section: str, setting: str, value: object, problem: str
) -> None:
    given = {**NODE.get(section, {}), setting: value}
    with pytest.raises(ConfigError, match=rf"^here: {section}\.{setting}: {problem}"):
        config.parse({**NODE, section: given}, "here")


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = problems(overlay={"port": 0}, proxy={"ring_s": 0}, export={"kafka": {"topic": "a b"}})
    assert [line.split(":")[1].strip() for line in found] == [
        "overlay.port",
        "proxy.ring_s",
        "export.kafka.topic",
    ]
