"""The parts of the test hosts that need no host."""

import pytest

from deploy.hosts import HostsError, host
from deploy.hosts.packages import NODE, names_of


def test_addresses_are_those_of_the_documents() -> None:
    assert host("op").address == "10.99.0.10"
    assert host("n1").address == "10.99.0.11"
    assert host("n4").address == "10.99.0.14"


@pytest.mark.parametrize("name", ["", "n", "n0", "n81", "n01", "p1", "op1"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(HostsError, match="no host can be named"):
        host(name)


def test_the_packages_of_a_depends_field() -> None:
    text = "kamailio (>= 5.6), chrony | time-daemon, python3:any (<< 3.12), zlib1g"
    assert names_of(text) == ["kamailio", "chrony", "python3", "zlib1g"]
    assert names_of("") == []
    assert {"kamailio", "redis-server", "pdns-server"} <= set(NODE)
