"""Digest computations, by the examples of the RFCs and the tries of attackers."""

from hashlib import md5, sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import digest
from proxy.digest import Credentials

KEY = b"k" * 32
RANDOM = bytes(digest.RANDOM_BYTES)
# RFC 7616 3.9.1.
EXAMPLE = (
    'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", '
    "algorithm={algorithm}, "
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
    'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="{response}", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
SECRET = b"Mufasa:http-auth@example.org:Circle of Life"
ANSWERS = [
    ("MD5", md5(SECRET).hexdigest(), "8ca523f5e9506fed4657c9700eebdbec"),
    (
        "SHA-256",
        sha256(SECRET).hexdigest(),
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    ),
]


@pytest.mark.parametrize(("algorithm", "ha1", "response"), ANSWERS)
def test_the_examples_of_the_rfc(algorithm: str, ha1: str, response: str) -> None:
    found = digest.parse(EXAMPLE.format(algorithm=algorithm, response=response))
    assert found is not None
    assert (found.username, found.algorithm, found.count) == ("Mufasa", algorithm, "00000001")
    assert digest.is_right(found, ha1, "GET")
    assert not digest.is_right(found, ha1, "POST")
    assert not digest.is_right(found, ha1[::-1], "GET")


def test_an_answer_without_qop_and_algorithm_is_md5_by_rfc_2069() -> None:
    text = 'Digest username="a", realm="r", nonce="n", uri="sip:r", response="{}"'
    ha1 = "f" * 32
    ha2 = md5(b"REGISTER:sip:r").hexdigest()
    right = md5(f"{ha1}:n:{ha2}".encode()).hexdigest()
    found = digest.parse(text.format(right))
    assert found is not None
    assert digest.is_right(found, ha1, "REGISTER")


def test_a_count_that_is_under_no_hash_makes_no_new_use() -> None:
    text = 'Digest username="a", realm="r", nonce="n", uri="sip:r", response="x", nc={}'
    uses = {
        found.use for nc in ("00000001", "00000002") if (found := digest.parse(text.format(nc)))
    }
    assert len(uses) == 1


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic abc",
        "Digest",
        'Digest username="a", realm="r", nonce="n", uri="u"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", algorithm=MD5-sess',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth-int',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth, cnonce="c"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth, nc=00000001',
    ],
)
def test_what_cannot_be_checked(value: str) -> None:
    assert digest.parse(value) is None


def test_quoted_pairs_and_commas_in_names() -> None:
    text = r'Digest username="a\"b, c\\", realm="r", nonce="n", uri="u", response="x"'
    found = digest.parse(text)
    assert found is not None
    assert found.username == 'a"b, c\\'


@given(st.text(max_size=200))
def test_nothing_that_is_parsed_raises(text: str) -> None:
    found = digest.parse(f"Digest {text}")
    if found is not None:
        digest.is_right(found, "0" * 32, "REGISTER")


def test_any_text_can_be_hashed() -> None:
    found = Credentials("a", "r", "n", "u\udcff", "é", "MD5", "", "", "")
    assert not digest.is_right(found, "0" * 32, "INVITE")


def test_a_nonce_is_good_for_its_node_and_its_time() -> None:
    nonce = digest.make_nonce(KEY, "n1", 1000.9, RANDOM)
    assert digest.is_fresh(KEY, "n1", 1000.0, nonce)
    assert digest.is_fresh(KEY, "n1", 999.0 + digest.NONCE_S, nonce)
    assert not digest.is_fresh(KEY, "n1", 1000.0 + digest.NONCE_S, nonce)
    assert not digest.is_fresh(KEY, "n2", 1000.0, nonce)
    assert not digest.is_fresh(b"other key", "n1", 1000.0, nonce)


@pytest.mark.parametrize("position", [0, 9, 30])
def test_an_altered_nonce(position: int) -> None:
    nonce = digest.make_nonce(KEY, "n1", 1000.0, RANDOM)
    altered = "f" if nonce[position] != "f" else "e"
    assert not digest.is_fresh(KEY, "n1", 0.0, nonce[:position] + altered + nonce[position + 1 :])


@given(st.text(max_size=60))
def test_a_nonce_of_anybody(text: str) -> None:
    assert not digest.is_fresh(KEY, "n1", 0.0, text)
