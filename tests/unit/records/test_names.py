"""Names and keys of records, and subscriber records."""

from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.records import subscriber
from overlay.records.names import RecordKind, address_of_record, aor_of_uri, key_of
from overlay.records.subscriber import Subscriber

SUBSCRIBERS = st.builds(
    Subscriber,
    aor=st.just("a@farm.test"),
    version=st.integers(0, 2),
    ha1=st.sampled_from(["x", "y"]),
    removed=st.booleans(),
)


@pytest.mark.parametrize(
    ("user", "domain", "aor"),
    [
        ("alice", "Farm.Test", "alice@farm.test"),
        ("Alice", "farm.test.", "Alice@farm.test"),
        ("%61lice", "farm.test", "alice@farm.test"),
        ("", "farm.test", "farm.test"),
    ],
)
def test_an_address_of_record_has_one_form(user: str, domain: str, aor: str) -> None:
    assert address_of_record(user, domain) == aor


def test_keys_tell_kinds_apart() -> None:
    keys = {key_of(kind, "alice@farm.test") for kind in RecordKind}
    assert len(keys) == len(RecordKind)
    assert {len(key) for key in keys} == {20}


def test_key_of_takes_what_is_not_unicode() -> None:
    assert len(key_of(RecordKind.CALL, b"\xff\xfe".decode("utf-8", "surrogateescape"))) == 20


@given(SUBSCRIBERS, SUBSCRIBERS, SUBSCRIBERS)
def test_subscribers_merge_like_a_lattice(
    one: Subscriber, two: Subscriber, three: Subscriber
) -> None:
    assert subscriber.merge(one, two) == subscriber.merge(two, one)
    left = subscriber.merge(subscriber.merge(one, two), three)
    assert left == subscriber.merge(one, subscriber.merge(two, three))
    assert subscriber.merge(one, one) == one


def test_the_secrets_are_those_of_digest_authentication() -> None:
    record = subscriber.with_password("alice@farm.test", "wonder", 1)
    assert record.ha1 == md5(b"alice:farm.test:wonder").hexdigest()
    assert len(record.ha1_sha256) == 64


def test_an_address_of_record_is_read_off_any_uri() -> None:
    for uri in (
        "sip:alice@Farm.Test",
        "sips:alice:secret@farm.test:5061;transport=tls?x=y",
        "sip:alice@farm.test;user=phone",
    ):
        assert aor_of_uri(uri) == "alice@farm.test"
    assert aor_of_uri("sip:alice@[2001:db8::1]:5060") == "alice@[2001:db8::1]"
    assert aor_of_uri("") == ""
