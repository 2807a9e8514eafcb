"""Parts that are joined can be told apart, and what a release has joined stays as it is."""

from hashlib import sha1, sha256

from hypothesis import given
from hypothesis import strategies as st

from overlay.base.joined import joined
from overlay.billing.columns import record_id
from overlay.records.call import EventKind, event_id
from overlay.records.claim import claim_id
from tests.unit.billing.test_columns import RECORD

PARTS = st.lists(st.text("a,0\x001", max_size=4), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_no_part_is_taken_for_the_end_of_another(one: list[str], two: list[str]) -> None:
    first, second = joined("kind", *one), joined("kind", *two)
    assert (first == second) == (one == two)


@given(st.text("a,0\x001"), st.text("a,0\x001"), st.text("a,0\x001"), st.text("a,0\x001"))
def test_a_fixed_number_of_parts_needs_no_kind(a: str, b: str, c: str, d: str) -> None:
    assert (joined(a, b) == joined(c, d)) == ((a, b) == (c, d))


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1))
def test_parts_without_a_nul_are_joined_as_by_release_0_1_0(parts: list[str]) -> None:
    assert joined(*parts) == "\0".join(parts).encode("utf-8", "surrogateescape")


def test_ids_that_a_release_stored_are_found_again() -> None:
    assert event_id(EventKind.STOP, "call", "b", "a") == sha1(b"3\0call\0a\0b\0").digest()
    assert claim_id("call", "a") == sha1(b"call\0a").digest()
    assert record_id(RECORD) == sha256(b"abc\0f\0t").hexdigest()[:32]


def test_a_nul_shifts_nothing() -> None:
    assert event_id(EventKind.STOP, "c\0a", "b", "d") != event_id(
        EventKind.STOP, "c", "a", "b", "d"
    )
    assert claim_id("c\0a", "b") != claim_id("c", "a\0b")
