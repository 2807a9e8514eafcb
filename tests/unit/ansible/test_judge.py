"""The complaints that an operator gets before anything is changed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.ansible.scripts import script

judge = script("judge")
OWN = "10.99.0.11"


def _inventory(**changes: Any) -> dict[str, Any]:
    given = {
        "farm_name": "sip.example.net",
        "package": "",
        "authority": {"op": "10.99.0.10"},
        "nodes": {
            f"n{number}": {"name": f"n{number}", "address": f"10.99.0.1{number}", "zone": ""}
            for number in (1, 2, 3)
        },
    }
    return {**given, **changes}


def _node(name: str = "n1", address: str = OWN, zone: str = "") -> dict[str, str]:
    return {"name": name, "address": address, "zone": zone}


def _host(**probe: Any) -> dict[str, Any]:
    found = {
        "python": "3.11.2",
        "os": "debian",
        "os_version": "12",
        "os_codename": "bookworm",
        "architecture": "amd64",
        "systemd": True,
        "python_apt": True,
        "resolvers": {},
        "own_name": {"name": "n1", "addresses": [OWN], "seconds": 0.0},
        "listening": [],
        "open_files": 1_048_576,
        "disk_free_mib": 10_000,
        "memory_mib": 2_000,
        "unfinished": "",
        "package_version": "",
        "in_service": False,
        "addresses": ["127.0.0.1", OWN],
        "farm": {},
        "node_ca": "",
        "authority_ca": "",
    }
    return {
        "is_node": True,
        "is_authority": False,
        "name": "n1",
        "address": OWN,
        "address6": "",
        "authority_port": 7461,
        "settings": {},
        "clock": {"before": 100.0, "host": 100.2, "after": 100.4},
        "probe": {**found, **probe},
    }


def _hosts(host: dict[str, Any], **changes: Any) -> list[str]:
    given = {
        "farm_name": "sip.example.net",
        "purpose": "site",
        "package_version": "0.2.0",
        "authority_ca": "",
        "limits": {"open_files": 524_288, "disk_free_mib": 1_024, "memory_mib": 900},
        "hosts": {"n1": host},
        **changes,
    }
    found: list[str] = judge.hosts(given)
    return found


def _taken(port: int, unit: str, address: str = "0.0.0.0", protocol: str = "udp") -> dict[str, Any]:
    return {
        "protocol": protocol,
        "address": address,
        "port": port,
        "process": "it",
        "unit": unit,
    }


def test_a_good_inventory_has_no_problems() -> None:
    assert judge.inventory(_inventory()) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nodes": {}}, "no host in the group sipfarm_nodes"),
        ({"authority": {}}, "0 hosts in the group sipfarm_authority"),
        ({"authority": {"op": ""}}, "op: the inventory has no address"),
        ({"farm_name": ""}, "farm_name: '' is not a lower-case domain name"),
        ({"farm_name": "Example.net"}, "is not a lower-case domain name"),
        ({"nodes": {"n1": _node(address="")}}, "n1: the inventory has no address"),
        ({"nodes": {"n1": _node(address="web")}}, "n1: 'web' is not an IP address"),
        ({"nodes": {"n1": _node(address="127.0.0.1")}}, "n1: 127.0.0.1 cannot be reached"),
        ({"nodes": {"N1": _node(name="N1")}}, "N1: node_name 'N1' is not a lower-case DNS label"),
        (
            {"nodes": {"n1": _node(), "n1.b": _node(address="10.99.0.12")}},
            "n1 and n1.b: both have the name n1",
        ),
        (
            {"nodes": {"n1": _node(), "n2": _node(name="n2")}},
            f"n1 and n2: both have the address {OWN}",
        ),
        (
            {"nodes": {"n1": _node(zone="a"), "n2": _node("n2", "10.99.0.12")}},
            "n2: no node_zone, and others have one",
        ),
        ({"package": "/nowhere/sipfarm_1_amd64.deb"}, "No such file or directory: make it with"),
    ],
)
def test_what_is_wrong_with_an_inventory_is_named(changes: dict[str, Any], told: str) -> None:
    problems = judge.inventory(_inventory(**changes))
    assert [problem for problem in problems if told in problem], problems


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("sipfarm_1_amd64.deb", b"PK", "is no package of sipfarm"),
        ("kamailio_1_amd64.deb", b"!<arch>\n", "is no package of sipfarm"),
        ("sipfarm_1_arm64.deb", b"!<arch>\n", "is for arm64, and nodes are amd64"),
        ("sipfarm_1_amd64.deb", b"!<arch>\nrubbish", "is broken"),
    ],
)
def test_a_package_that_is_none(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    (problem,) = judge.inventory(_inventory(package=str(path)))
    assert told in problem


def test_a_good_host_has_no_problems() -> None:
    assert _hosts(_host()) == []


@pytest.mark.parametrize(
    ("probe", "told"),
    [
        ({"os_version": "13"}, "runs debian 13: not yet supported"),
        ({"os_version": "", "os_codename": "trixie"}, "runs debian trixie: not yet supported"),
        ({"os": "ubuntu", "os_version": "24.04"}, "runs ubuntu 24.04: not supported"),
        ({"architecture": "arm64"}, "is arm64: the package is for amd64"),
        ({"python": "3.13.1"}, "is 3.13.1, and Debian 12's 3.11 is needed"),
        ({"systemd": False}, "systemd does not run"),
        ({"python_apt": False}, "apt-get install python3-apt"),
        ({"resolvers": {"192.0.2.53": False}}, "its resolver 192.0.2.53 does not answer"),
        ({"own_name": {"name": "n1", "addresses": []}}, "put '127.0.1.1 n1' into /etc/hosts"),
        ({"open_files": 1024}, "sysctl fs.nr_open=524288"),
        ({"disk_free_mib": 100}, "/var/lib has 100 MiB free"),
        ({"memory_mib": 512}, "has 512 MiB of memory"),
        ({"unfinished": "sipfarm"}, "dpkg --configure -a"),
        ({"addresses": ["192.0.2.1"]}, f"has no address {OWN}, only 192.0.2.1"),
        (
            {"farm": {"farm": "other.example", "node": "n1", "address": OWN}},
            "is set up with farm 'other.example', and the inventory has 'sip.example.net'",
        ),
        (
            {"in_service": True, "package_version": "0.1.0"},
            "is in service with sipfarm 0.1.0, and the package is 0.2.0: playbooks/upgrade.yml",
        ),
        ({"listening": [_taken(5060, "kamailio.service")]}, "systemctl disable --now kamailio"),
        (
            {"listening": [_taken(5060, "asterisk.service", OWN, "tcp")]},
            "TCP port 5060, wanted for SIP, is taken by asterisk.service: stop",
        ),
        ({"listening": [_taken(53, "", "::")]}, "UDP port 53, wanted for DNS, is taken by it"),
    ],
)
def test_what_is_wrong_with_a_host_is_named(probe: dict[str, Any], told: str) -> None:
    (problem,) = _hosts(_host(**probe))
    assert problem.startswith("n1: ")
    assert told in problem


@pytest.mark.parametrize(
    "taken",
    [
        _taken(5060, "sipfarm-kamailio.service"),
        _taken(53, "systemd-resolved.service", "127.0.0.53"),
        _taken(22, "ssh.service", protocol="tcp"),
    ],
)
def test_ports_of_our_own_and_of_others_are_no_problem(taken: dict[str, Any]) -> None:
    assert _hosts(_host(listening=[taken])) == []


def test_an_upgrade_may_meet_another_version() -> None:
    host = _host(in_service=True, package_version="0.1.0")
    assert _hosts(host, purpose="upgrade") == []


def test_a_host_without_a_package_needs_one() -> None:
    (problem,) = _hosts(_host(), package_version="")
    assert "no package is given" in problem


def test_a_node_of_another_authority() -> None:
    host = _host(node_ca="aa")
    (problem,) = _hosts(host, authority_ca="bb")
    assert "another farm's certificate authority" in problem
    assert _hosts(host, authority_ca="aa") == []


@pytest.mark.parametrize(
    ("clock", "told"),
    [
        ({"before": 100.0, "host": 400.0, "after": 100.5}, "300 s ahead of"),
        ({"before": 400.0, "host": 100.0, "after": 400.5}, "300 s behind"),
    ],
)
def test_a_clock_that_is_off(clock: dict[str, float], told: str) -> None:
    (problem,) = _hosts({**_host(), "clock": clock})
    assert told in problem


def test_a_slow_answer_is_no_wrong_clock() -> None:
    slow = {"before": 100.0, "host": 109.0, "after": 110.0}
    assert _hosts({**_host(), "clock": slow}) == []


def test_clocks_of_two_hosts_that_differ() -> None:
    ahead = {**_host(), "clock": {"before": 100.0, "host": 101.9, "after": 100.1}}
    behind = {
        **_host(),
        "name": "n2",
        "clock": {"before": 100.0, "host": 98.3, "after": 100.1},
    }
    (problem,) = _hosts(_host(), hosts={"n1": ahead, "n2": behind})
    assert problem.startswith("n1 and n2: their clocks differ by 3.5 s")


def test_the_first_line_says_what_is_judged() -> None:
    told = judge.verdict(f"inventory\n{json.dumps(_inventory(nodes={}))}")
    assert len(told["problems"]) == 1
