"""Hosts show to the world and to each other's users only what deploy/DESIGN.md's tables say."""

import re
from typing import Final

from tests.hosts.farm import HostsFarm
from tests.hosts.inventory import NODES, OPERATOR

_EXPOSURE_MAX: Final = 3.0
_EXPOSURE: Final = re.compile(r"Overall exposure level for (\S+): ([\d.]+)")
_USERS: Final = {
    "sipfarm-redis": "sipfarm-redis",
    "sipfarm-overlay": "sipfarm",
    "sipfarm-pdns": "sipfarm-pdns",
    "sipfarm-kamailio": "sipfarm-kamailio",
}
_SSHD: Final = {("tcp", 22, "sshd")}
_NODE_PORTS: Final = _SSHD | {
    ("udp", 5060, "kamailio"),
    ("tcp", 5060, "kamailio"),
    ("tcp", 5061, "kamailio"),
    ("udp", 53, "pdns_server"),
    ("tcp", 53, "pdns_server"),
    ("udp", 7460, "sipfarm-overlay"),
    ("tcp", 7460, "sipfarm-overlay"),
    ("tcp", 9464, "sipfarm-overlay"),
}
_OPERATOR_PORTS: Final = _SSHD | {("tcp", 7461, "sipfarm")}
_FILES: Final = {
    "/etc/sipfarm": "sipfarm sipfarm 750",
    "/etc/sipfarm/node.key": "sipfarm sipfarm 600",
    "/etc/sipfarm/farm.secret": "sipfarm sipfarm 600",
    "/etc/sipfarm/farm.toml": "sipfarm sipfarm 640",
    "/etc/sipfarm/node.pem": "sipfarm sipfarm 644",
    "/etc/sipfarm/ca.pem": "sipfarm sipfarm 644",
    "/etc/sipfarm/operator.pem": "sipfarm sipfarm 644",
    "/etc/sipfarm/sip.key": "root sipfarm-kamailio 640",
    "/etc/sipfarm/rendered": "sipfarm sipfarm 750",
    "/etc/sipfarm/rendered/kamailio.cfg": "sipfarm sipfarm 600",
    "/etc/sipfarm/rendered/tls.cfg": "sipfarm sipfarm 644",
    "/etc/sipfarm/rendered/redis.conf": "sipfarm sipfarm 644",
    "/etc/sipfarm/rendered/pdns.conf": "sipfarm sipfarm 644",
    "/etc/sipfarm/rendered/kamailio.env": "sipfarm sipfarm 644",
    "/var/lib/sipfarm": "sipfarm sipfarm 750",
    "/run/sipfarm": "root sipfarm 3771",
    "/run/sipfarm/control.sock": "sipfarm sipfarm 660",
    "/run/sipfarm/dns.sock": "sipfarm sipfarm-pdns 660",
    "/run/sipfarm/redis.sock": "sipfarm-redis sipfarm 770",
    "/run/sipfarm/kamailio.sock": "sipfarm-kamailio sipfarm 660",
    "/run/sipfarm-pdns/pdns.controlsocket": "sipfarm-pdns sipfarm-pdns 770",
}
_AUTHORITY_FILES: Final = {
    "/etc/sipfarm-authority": "root sipfarm-authority 750",
    "/var/lib/sipfarm-authority/ca": "sipfarm-authority sipfarm-authority 700",
}


def test_each_service_has_a_user_of_its_own(farm: HostsFarm) -> None:
    for name in NODES:
        assert {unit: _user(farm, name, unit) for unit in _USERS} == _USERS
    assert _user(farm, OPERATOR, "sipfarm-authority") == "sipfarm-authority"


def test_files_and_sockets_belong_to_whom_the_table_says(farm: HostsFarm) -> None:
    for name in NODES:
        assert _files(farm, name, _FILES) == _FILES, name
    assert _files(farm, OPERATOR, _AUTHORITY_FILES) == _AUTHORITY_FILES


def test_nothing_else_listens(farm: HostsFarm) -> None:
    for name in NODES:
        assert _listening(farm, name) == _NODE_PORTS, name
    assert _listening(farm, OPERATOR) == _OPERATOR_PORTS


def test_units_may_do_no_more_than_they_need(farm: HostsFarm) -> None:
    exposed = {}
    for name, units in ((NODES[0], tuple(_USERS)), (OPERATOR, ("sipfarm-authority",))):
        for unit in units:
            done = farm.hosts.ssh(
                name, ["systemd-analyze", "--no-pager", "security", f"{unit}.service"], check=False
            )
            found = _EXPOSURE.search(done.stdout)
            assert found is not None, done.stderr
            exposed[unit] = float(found[2])
    assert max(exposed.values()) <= _EXPOSURE_MAX, exposed


def test_no_unit_of_a_host_has_failed(farm: HostsFarm) -> None:
    for name in (OPERATOR, *NODES):
        failed = farm.hosts.ssh(name, ["systemctl", "--failed", "--plain", "--no-legend"]).stdout
        assert failed == "", name


def _user(farm: HostsFarm, name: str, unit: str) -> str:
    text = f"ps -o user:40= -p $(systemctl show --property=MainPID --value {unit})"
    return farm.hosts.ssh(name, text).stdout.strip()


def _files(farm: HostsFarm, name: str, paths: dict[str, str]) -> dict[str, str]:
    done = farm.hosts.ssh(name, ["stat", "--format=%n %U %G %a", *paths], check=False)
    lines = (line.partition(" ") for line in done.stdout.splitlines())
    return {path: rest for path, _, rest in lines}


def _listening(farm: HostsFarm, name: str) -> set[tuple[str, int, str]]:
    """Protocol, port, program; on whatever address."""
    found = set()
    for line in farm.hosts.ssh(name, ["ss", "-H", "-lntup"]).stdout.splitlines():
        fields = line.split()
        program = re.search(r'\(\("([^"]+)"', line)
        found.add((fields[0], int(fields[4].rpartition(":")[2]), program[1] if program else ""))
    return found
