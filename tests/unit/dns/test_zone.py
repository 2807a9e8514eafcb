"""The farm's zone: which names it has, and what never happens to them."""

import ipaddress
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from overlay.dns.zone import NAME_SERVERS, Record, Zone, ZoneNode, ZoneView, steady

N1 = ZoneNode(name="n1", addresses=("192.0.2.1",))
N2 = ZoneNode(name="n2", addresses=("192.0.2.2", "2001:db8::2"), weight=50)
DEAD = ZoneNode(name="n3", addresses=("192.0.2.3",), live=False)


def view(*nodes: ZoneNode, ttl_s: int = 60, serial: int = 7) -> ZoneView:
    return ZoneView(farm="farm.test", nodes=nodes, ttl_s=ttl_s, serial=serial)


def contents(zone: Zone, name: str, kind: str) -> list[str]:
    return [record.content for record in zone.lookup(name, kind)]


def test_the_farms_name_is_every_live_node() -> None:
    zone = Zone(view(N1, N2, DEAD))
    assert contents(zone, "farm.test.", "A") == ["192.0.2.1", "192.0.2.2"]
    assert contents(zone, "farm.test.", "AAAA") == ["2001:db8::2"]


def test_services_are_every_live_node_with_its_weight() -> None:
    zone = Zone(view(N1, N2, DEAD))
    sip = ["10 100 5060 n1.farm.test.", "10 50 5060 n2.farm.test."]
    assert contents(zone, "_sip._udp.farm.test.", "SRV") == sip
    assert contents(zone, "_sip._tcp.farm.test.", "SRV") == sip
    overlay = ["10 100 7460 n1.farm.test.", "10 50 7460 n2.farm.test."]
    assert contents(zone, "_sipfarm-overlay._tcp.farm.test.", "SRV") == overlay


def test_transports_are_offered_udp_first() -> None:
    assert contents(Zone(view(N1)), "farm.test.", "NAPTR") == [
        '10 10 "s" "SIP+D2U" "" _sip._udp.farm.test.',
        '10 20 "s" "SIP+D2T" "" _sip._tcp.farm.test.',
    ]


def test_a_further_transport_is_offered_where_it_is_served() -> None:
    serving = replace(N1, transports=frozenset({"tls"}))
    ports = {"tls": 5061, "ws": 8080}
    zone = Zone(replace(view(serving, N2), transport_ports=ports))
    assert contents(zone, "_sips._tcp.farm.test.", "SRV") == ["10 100 5061 n1.farm.test."]
    assert contents(zone, "farm.test.", "NAPTR")[2:] == [
        '10 30 "s" "SIPS+D2T" "" _sips._tcp.farm.test.'
    ]
    assert zone.lookup("_sip._ws.farm.test.", "SRV") == ()


def test_a_nodes_own_name_resolves_dead_or_alive() -> None:
    zone = Zone(view(N1, N2, DEAD))
    assert contents(zone, "n2.farm.test.", "A") == ["192.0.2.2"]
    assert contents(zone, "n2.farm.test.", "AAAA") == ["2001:db8::2"]
    assert contents(zone, "n3.farm.test.", "A") == ["192.0.2.3"]


def test_negative_answers_are_kept_a_minute_at_most() -> None:
    soa = contents(Zone(view(N1, ttl_s=3600)), "farm.test.", "SOA")
    assert soa == ["ns1.farm.test. hostmaster.farm.test. 7 10800 3600 604800 60"]
    assert contents(Zone(view(N1, ttl_s=5)), "farm.test.", "SOA")[0].endswith(" 5")


def test_the_ttl_is_the_configured_one() -> None:
    records = Zone(view(N1, ttl_s=123)).lookup("farm.test.", "ANY")
    assert {record.ttl_s for record in records} == {123}


def test_names_are_found_in_any_case_and_only_in_the_zone() -> None:
    zone = Zone(view(N1))
    assert contents(zone, "FaRm.TeST.", "A") == ["192.0.2.1"]
    for name in ("farm.test", "example.com.", ".", "", "xfarm.test.", "none.farm.test."):
        assert zone.lookup(name, "ANY") == ()
        assert not zone.between(name)


def test_names_between_exist_without_records() -> None:
    zone = Zone(view(N1))
    assert zone.between("_udp.farm.test.")
    assert zone.between("_TCP.farm.test.")
    assert not zone.between("farm.test.")
    assert not zone.between("_sip._udp.farm.test.")
    assert not zone.between("test.")


def test_a_node_may_be_called_as_a_name_server() -> None:
    zone = Zone(view(N1, ZoneNode(name="ns2", addresses=("192.0.2.9",))))
    assert contents(zone, "ns2.farm.test.", "A") == ["192.0.2.9"]


def test_a_name_server_moves_only_when_its_node_dies() -> None:
    nodes = [ZoneNode(name=f"n{i}", addresses=(f"192.0.2.{i}",)) for i in range(1, 9)]
    before = Zone(view(*nodes))
    homes = {label: contents(before, f"{label}.farm.test.", "A") for label in NAME_SERVERS}
    assert len({tuple(home) for home in homes.values()}) == len(NAME_SERVERS)
    bystanders = [node for node in nodes if list(node.addresses) not in homes.values()]
    after = Zone(view(*(node for node in nodes if node is not bystanders[0])))
    assert {label: contents(after, f"{label}.farm.test.", "A") for label in NAME_SERVERS} == homes


def test_without_live_nodes_the_last_ones_are_kept() -> None:
    last = view(N1, DEAD, serial=1)
    assert steady(view(DEAD, serial=2), last) == view(N1, DEAD, serial=2)
    assert steady(view(serial=2), last) == view(N1, DEAD, serial=2)
    assert steady(view(N2, serial=2), last) == view(N2, serial=2)
    assert steady(view(DEAD), None) == view(DEAD)
    assert Zone(view(DEAD)).empty
    assert not Zone(last).empty


_addresses = st.lists(st.ip_addresses().map(str), max_size=2).map(tuple)
_nodes = st.lists(
    st.builds(
        ZoneNode,
        name=st.from_regex(r"[a-z]{1,3}[0-9]{1,2}", fullmatch=True),
        addresses=_addresses,
        weight=st.integers(0, 65535),
        live=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda node: node.name,
).map(tuple)


@given(nodes=_nodes)
def test_no_set_is_empty_and_every_target_has_an_address(nodes: tuple[ZoneNode, ...]) -> None:
    zone = Zone(view(*nodes))
    if not any(node.live and node.addresses for node in nodes):
        assert zone.empty
        return
    assert contents(zone, "farm.test.", "NS") == [f"{ns}.farm.test." for ns in NAME_SERVERS]
    hosts = {record.content for record in zone.lookup("farm.test.", "NS")}
    for service in ("_sip._udp", "_sip._tcp", "_sipfarm-overlay._tcp"):
        targets = contents(zone, f"{service}.farm.test.", "SRV")
        assert len(targets) == sum(node.live and bool(node.addresses) for node in nodes)
        hosts |= {target.split()[-1] for target in targets}
    for host in hosts:
        taken = host.partition(".")[0] in {n.name for n in nodes if not n.addresses}
        assert taken or _has_address(zone.lookup(host, "ANY"))
    assert _has_address(zone.lookup("farm.test.", "ANY"))


def _has_address(records: tuple[Record, ...]) -> bool:
    found = [record for record in records if record.type in ("A", "AAAA")]
    for record in found:
        version = ipaddress.ip_address(record.content).version
        assert record.type == ("A" if version == 4 else "AAAA")
    return bool(found)


def test_a_node_without_its_kamailio_is_in_no_set_of_phones() -> None:
    away = replace(N2, serving=False, transports=frozenset({"tls"}))
    zone = Zone(replace(view(N1, away), transport_ports={"tls": 5061}))
    assert contents(zone, "_sip._udp.farm.test.", "SRV") == ["10 100 5060 n1.farm.test."]
    assert contents(zone, "farm.test.", "A") == ["192.0.2.1"]
    assert contents(zone, "n2.farm.test.", "A") == ["192.0.2.2"]
    overlay = ["10 100 7460 n1.farm.test.", "10 50 7460 n2.farm.test."]
    assert contents(zone, "_sipfarm-overlay._tcp.farm.test.", "SRV") == overlay
    # The only one that serves TLS: a set is never empty.
    assert contents(zone, "_sips._tcp.farm.test.", "SRV") == ["10 50 5061 n2.farm.test."]


def test_where_no_kamailio_answers_all_live_nodes_are_named() -> None:
    zone = Zone(view(replace(N1, serving=False), replace(N2, serving=False), DEAD))
    assert contents(zone, "farm.test.", "A") == ["192.0.2.1", "192.0.2.2"]
    sip = ["10 100 5060 n1.farm.test.", "10 50 5060 n2.farm.test."]
    assert contents(zone, "_sip._tcp.farm.test.", "SRV") == sip
