"""The parts of a URI that routing needs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import sip_uri


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("sip:bob@Farm.Test:5060;lr", "farm.test"),
        ("sip:farm.test;lr", "farm.test"),
        ("sips:bob;x=1@[2001:DB8::1]:5061?a=b", "2001:db8::1"),
        ("sip:bob@192.0.2.1?Subject=x", "192.0.2.1"),
        ("", ""),
        ("sip:", ""),
        ("bob", "bob"),
    ],
)
def test_host(uri: str, host: str) -> None:
    assert sip_uri.host_of(uri) == host


@pytest.mark.parametrize(
    ("uri", "transport", "reliable"),
    [
        ("sip:bob@h", "", False),
        ("sip:bob@h;Transport=TCP;x=y", "tcp", True),
        ("sip:bob@h;transport=udp?a=b", "udp", False),
        ("sips:bob@h", "", True),
        ("sip:;transport=tcp@h", "", False),
    ],
)
def test_transport(uri: str, transport: str, reliable: bool) -> None:
    assert sip_uri.transport_of(uri) == transport
    assert sip_uri.is_reliable(uri) is reliable


def test_an_address_is_compared_as_an_address() -> None:
    assert sip_uri.is_at("sip:bob@[2001:0db8::1]", "2001:db8::1")
    assert sip_uri.is_at("sip:bob@192.0.2.1:4711", "192.0.2.1")
    assert not sip_uri.is_at("sip:bob@192.0.2.10", "192.0.2.1")
    assert not sip_uri.is_at("sip:bob@phone.example.org", "192.0.2.1")


@given(st.text(max_size=80))
def test_nothing_raises(uri: str) -> None:
    sip_uri.host_of(uri)
    sip_uri.is_reliable(uri)
    sip_uri.is_at(uri, "192.0.2.1")


HOSTS = st.sampled_from(
    ["192.0.2.1", "192.0.2.10", "farm.test", "[2001:db8::1]", "2001:db8::1", ""]
)
USERS = st.sampled_from(["", "bob@", "bob;x=192.0.2.1@", "bob@192.0.2.1;y@"])
RESTS = st.sampled_from(["", ":5060", ";lr", "?a=b", ">", ";x=@192.0.2.1", "0", ".1"])


@given(USERS, HOSTS, RESTS, st.sampled_from(["192.0.2.1", "192.0.2.10", "2001:db8::1"]))
def test_is_at_means_the_host(user: str, host: str, rest: str, address: str) -> None:
    uri = f"sip:{user}{host}{rest}"
    assert sip_uri.is_at(uri, address) == (sip_uri.host_of(uri) == address)
