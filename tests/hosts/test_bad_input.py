"""The playbooks name everything that is wrong before they change anything."""

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest

from deploy.hosts import host
from deploy.hosts.layout import DATA_DIR, SSH_CONFIG
from tests.hosts.farm import HostsFarm
from tests.hosts.inventory import FARM, NODES, inventory
from tests.hosts.playbooks import Played, play

_LISTENER: Final = "systemd-run --quiet --unit=squatter /usr/bin/python3 -c {program!r}"
_TAKES_5060: Final = (
    "import socket, time; s = socket.socket(); s.bind(('', 5060)); s.listen(); time.sleep(1e6)"
)
_FIVE_MINUTES_AHEAD: Final = "#!/bin/sh\nexec /usr/bin/date --date='5 minutes' \"$@\"\n"
"""Hosts here share one clock, which none of them may set, so what is asked for the time lies."""


def _no_address(data: dict[str, Any]) -> None:
    del data["sipfarm_nodes"]["hosts"]["n2"]["ansible_host"]


def _two_of_one_name(data: dict[str, Any]) -> None:
    data["sipfarm_nodes"]["hosts"]["n1.elsewhere"] = {"ansible_host": host("n4").address}


def _no_nodes(data: dict[str, Any]) -> None:
    data["sipfarm_nodes"]["hosts"] = {}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_no_address, ["n2", "has no address", "ansible_host"]),
        (_two_of_one_name, ["n1 and n1.elsewhere", "the name n1"]),
        (_no_nodes, ["no host in the group sipfarm_nodes"]),
    ],
)
def test_a_wrong_inventory(
    farm: HostsFarm, spoil: Callable[[dict[str, Any]], None], told: list[str]
) -> None:
    data = copy.deepcopy(inventory(*NODES))
    spoil(data)
    _check_refused(_play(farm, data), told)


def test_a_host_that_is_there_twice(farm: HostsFarm) -> None:
    path = DATA_DIR / "twice.yml"
    path.write_text(
        f"all: {{vars: {{ansible_user: root, farm_name: {FARM},"
        f" ansible_ssh_common_args: -F {SSH_CONFIG}}}}}\n"
        "sipfarm_authority: {hosts: {op: {ansible_host: 10.99.0.10}}}\n"
        "sipfarm_nodes:\n  hosts:\n"
        "    n1: {ansible_host: 10.99.0.11}\n    n1: {ansible_host: 10.99.0.12}\n",
        encoding="ascii",
    )
    played = play(
        "site",
        path,
        {"node_package": str(farm.old)},
        environment={},
        log=DATA_DIR / "twice.log",
        timeout_s=200,
    )
    _check_refused(played, ["n1", "duplicate"])


def test_hosts_that_cannot_be_nodes_yet(farm: HostsFarm) -> None:
    hosts = farm.hosts
    release = hosts.ssh("n1", ["cat", "/etc/os-release"]).stdout
    thirteen = release.replace('VERSION_ID="12"', 'VERSION_ID="13"').replace("bookworm", "trixie")
    # The file is a link to one that the package `base-files` owns.
    hosts.ssh("n1", "rm /etc/os-release; cat >/etc/os-release", given=thirteen)
    hosts.ssh(
        "n2", "cat >/usr/local/bin/date; chmod 755 /usr/local/bin/date", given=_FIVE_MINUTES_AHEAD
    )
    hosts.ssh("n3", _LISTENER.format(program=_TAKES_5060))
    try:
        played = _play(farm, inventory(*NODES))
        _check_refused(
            played,
            ["n1: runs debian 13: not yet", "n2: its clock is", "s ahead of"],
            ["n3: TCP port 5060", "squatter.service"],
        )
    finally:
        hosts.ssh("n1", ["ln", "--force", "-s", "../usr/lib/os-release", "/etc/os-release"])
        hosts.ssh("n2", ["rm", "/usr/local/bin/date"])
        hosts.ssh("n3", ["systemctl", "stop", "squatter"])


def _play(farm: HostsFarm, data: dict[str, Any]) -> Played:
    return farm.play("site", {"node_package": str(farm.old)}, what="site, refused", data=data)


def _check_refused(played: Played, *told: list[str]) -> None:
    assert played.status > 0, played.text
    said = " ".join(played.text.split())
    for each in (text for texts in told for text in texts):
        assert each in said, played.text
    assert sum(played.changed.values()) == 0, played.text
