"""The choice of trunk and gateway by prefix, priority and weight, the same on every node."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.records.settings import (
    Emergency,
    FarmSettings,
    Gateway,
    Numbering,
    Rule,
    Trunk,
)
from proxy.trunk_choice import TrunkTable, in_order


def gateway(number: int, priority: int = 0, weight: int = 100) -> Gateway:
    return Gateway(host=f"192.0.2.{number}", priority=priority, weight=weight)


WORLD = Trunk(name="world", prefixes=("+",), gateways=(gateway(1),), sources=("192.0.2.0/28",))
NORTH = Trunk(
    name="north",
    prefixes=("+4930", "+4940"),
    gateways=(gateway(2), gateway(3, 1)),
    domains=("North.example",),
    sources=("192.0.2.2", "2001:db8::/64"),
    dial=(Rule(match="+49", strip=3, prepend="0"),),
)
SETTINGS = FarmSettings(
    trunks=(WORLD, NORTH),
    numbering=Numbering(country="49"),
    emergency=Emergency(trunks=("north", "world", "gone")),
)
TABLE = TrunkTable.of(SETTINGS)

_gateways = st.lists(
    st.builds(gateway, st.integers(1, 250), st.integers(0, 3), st.integers(0, 3)),
    unique_by=lambda each: each.host,
)


@pytest.mark.parametrize(
    ("number", "expected"),
    [("+4930123", ("north", "+4930")), ("+4989123", ("world", "+")), ("+1212", ("world", "+"))],
)
def test_the_longest_prefix_wins(number: str, expected: tuple[str, str]) -> None:
    found = TABLE.to_number(number)
    assert found is not None
    assert (found[0].name, found[1]) == expected
    assert TrunkTable.of(FarmSettings(trunks=(NORTH,))).to_number("+1212") is None


def test_numbers_are_told_as_the_carrier_wants_them() -> None:
    targets = TABLE.number_targets(NORTH, TABLE.number_of("030 123"), "call")
    assert [target.uri for target in targets] == [
        "sip:030123@192.0.2.2;transport=udp",
        "sip:030123@192.0.2.3;transport=udp",
    ]
    assert [target.hop for target in targets] == [each.uri for each in NORTH.gateways]
    (target,) = TABLE.number_targets(WORLD, "+4930123", "call")
    assert target.uri == "sip:+4930123@192.0.2.1;transport=udp"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.2", "north"),
        ("192.0.2.5", "world"),
        ("192.0.2.100", ""),
        ("2001:db8::7", "north"),
        ("[2001:db8::7]", "north"),
        ("nonsense", ""),
    ],
)
def test_calls_come_in_by_their_source(address: str, expected: str) -> None:
    found = TABLE.from_source(address)
    assert (found.name if found else "") == expected


@pytest.mark.parametrize(
    ("uri", "user", "expected"),
    [
        ("sip:112@farm.test", "112", "112"),
        ("sip:911;x@farm.test", "911;x", "911"),
        ("urn:service:sos", "", "112"),
        ("urn:service:sos.fire", "", "112"),
        ("URN:service:SOS", "", "112"),
        ("urn:service:counseling", "", ""),
        ("urn:service:sosx", "", ""),
        ("sip:1121@farm.test", "1121", ""),
        ("sip:bob@farm.test", "bob", ""),
    ],
)
def test_emergency_calls_are_known(uri: str, user: str, expected: str) -> None:
    assert TABLE.emergency(uri, user) == expected
    assert TrunkTable.of(FarmSettings(trunks=(WORLD,))).emergency(uri, user) == ""


def test_emergency_calls_try_every_trunk_that_takes_them() -> None:
    targets = TABLE.emergency_targets("112", "call")
    assert [(target.trunk, target.uri) for target in targets] == [
        ("north", "sip:112@192.0.2.2;transport=udp"),
        ("north", "sip:112@192.0.2.3;transport=udp"),
        ("world", "sip:112@192.0.2.1;transport=udp"),
    ]


def test_a_domain_keeps_its_request_uri() -> None:
    trunk = TABLE.by_domain["north.example"]
    (target, _) = TABLE.domain_targets(trunk, "sip:x@north.example", "call")
    assert (target.uri, target.hop) == ("sip:x@north.example", "sip:192.0.2.2;transport=udp")


@given(_gateways, st.text(), st.data())
def test_every_gateway_is_tried_once_the_best_first(
    gateways: list[Gateway], call_id: str, data: st.DataObject
) -> None:
    uris = [each.uri for each in gateways]
    down = data.draw(st.sets(st.sampled_from(uris))) if uris else set()
    ordered = in_order(gateways, call_id, down)
    assert sorted(each.uri for each in ordered) == sorted(uris)
    ranks = [(each.uri in down, each.priority, not each.weight) for each in ordered]
    assert ranks == sorted(ranks)
    shuffled = data.draw(st.permutations(gateways))
    assert in_order(shuffled, call_id, down) == ordered


@given(_gateways, st.text())
def test_a_gateway_that_goes_takes_no_other_calls_along(
    gateways: list[Gateway], call_id: str
) -> None:
    ordered = in_order(gateways, call_id)
    for gone in gateways:
        left = [each for each in gateways if each != gone]
        assert in_order(left, call_id) == [each for each in ordered if each != gone]


def test_calls_are_shared_by_weight() -> None:
    gateways = (gateway(1, weight=300), gateway(2, weight=100), gateway(3, weight=0))
    first = Counter(in_order(gateways, f"call-{n}")[0].host for n in range(4_000))
    assert 0.70 < first["192.0.2.1"] / 4_000 < 0.80
    assert first["192.0.2.3"] == 0
