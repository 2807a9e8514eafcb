"""The hosts and resolv.conf files that Kamailio gets."""

import pytest

from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.dns import local_names


def _config(**dns: object) -> Config:
    return configuration.parse(
        {
            "farm": {"name": "sip.example.net"},
            "node": {"name": "n1", "address": "192.0.2.11", "address6": "2001:db8::11"},
            "dns": dns,
        },
        "test",
    )


def test_the_farm_is_this_node_whatever_the_machine_says() -> None:
    text = local_names.hosts(_config(), "192.0.2.53 sip.example.net\n192.0.2.9 sbc.example\n")
    assert text.splitlines() == [
        "127.0.0.1 localhost",
        "192.0.2.11 n1.sip.example.net sip.example.net",
        "2001:db8::11 n1.sip.example.net sip.example.net",
        "192.0.2.53 sip.example.net",
        "192.0.2.9 sbc.example",
    ]


@pytest.mark.parametrize(
    ("machine", "lines"),
    [
        ("", ["nameserver 192.0.2.11"]),
        (
            "# made by dhcp\nsearch example.net\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n"
            "nameserver 192.0.2.3\noptions rotate\n",
            [
                "# made by dhcp",
                "search example.net",
                "nameserver 192.0.2.11",
                "nameserver 192.0.2.1",
                "nameserver 192.0.2.2",
            ],
        ),
        ("nameserver 192.0.2.11\n", ["nameserver 192.0.2.11"]),
    ],
)
def test_the_nodes_own_server_is_asked_first(machine: str, lines: list[str]) -> None:
    text = local_names.resolv_conf(_config(), machine)
    assert text.splitlines() == [*lines, local_names.OPTIONS]


@pytest.mark.parametrize("dns", [{"enabled": False}, {"port": 5353}])
def test_a_server_that_resolvers_do_not_find_is_not_named(dns: dict[str, object]) -> None:
    text = local_names.resolv_conf(_config(**dns), "nameserver 192.0.2.1\n")
    assert text.splitlines() == ["nameserver 192.0.2.1", local_names.OPTIONS]
