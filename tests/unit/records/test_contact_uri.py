"""The comparison of URIs, by the examples of RFC 3261 19.1.4 and some traps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.records import contact_uri

SAME = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
    ("sip:a%3b@h", "sip:a%3B@h"),
    ("SIP:a@[2001:DB8::1]:5060", "sip:a@[2001:db8::1]:5060"),
]
OTHER = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:bob@h", "sips:bob@h"),
    ("sip:bob@h", "sip:bob@h;maddr=192.0.2.1"),
    ("sip:bob:x@h", "sip:bob:y@h"),
    ("sip:bob@h", "sip:h"),
    ("sip:a%3Bb@h", "sip:a;b@h"),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_the_same_written_otherwise(one: str, two: str) -> None:
    assert contact_uri.same(one, two)
    assert contact_uri.same(two, one)


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_others(one: str, two: str) -> None:
    assert not contact_uri.same(one, two)
    assert not contact_uri.same(two, one)


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_it_is_given_it_answers_alike_both_ways(one: str, two: str) -> None:
    assert contact_uri.same(f"sip:{one}", f"sip:{two}") == contact_uri.same(
        f"sip:{two}", f"sip:{one}"
    )
