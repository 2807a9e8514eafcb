"""Every node reads a sealed note of a call alike; forged and altered notes are no notes."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import call_note
from proxy.call_note import CallNote

KEY = b"k" * 32
TEXTS = st.text(max_size=300)
NOTES = st.builds(
    CallNote, subscriber=TEXTS, asserted=TEXTS, dialled=TEXTS, routed=TEXTS, source=TEXTS
)
NOTE = CallNote(
    subscriber="alice@farm.test",
    asserted="sip:alice@farm.test",
    dialled="sip:bob@farm.test",
    routed="sip:bob@192.0.2.7:5062;transport=tcp",
    source="udp:192.0.2.1:5060",
)
IN_PARAMETERS = set(string.ascii_letters + string.digits + "-_")
"""A part of what RFC 3261 25.1 allows in a URI parameter's value."""


@given(NOTES, st.text(), st.text())
def test_what_was_sealed_is_read_again_alike_on_every_node(
    note: CallNote, call_id: str, tag: str
) -> None:
    sealed = call_note.seal(KEY, call_id, tag, note)
    assert sealed == call_note.seal(KEY, call_id, tag, note)
    assert set(sealed) <= IN_PARAMETERS
    if len(sealed) <= call_note.SEALED_CHARS_MAX:
        assert call_note.unseal(KEY, call_id, tag, sealed) == note


@given(st.text())
def test_what_nobody_sealed_is_no_note(text: str) -> None:
    assert call_note.unseal(KEY, "call", "tag", text) is None


@pytest.mark.parametrize(
    ("key", "call_id", "tag"),
    [(b"x" * 32, "call", "tag"), (KEY, "other", "tag"), (KEY, "call", "other")],
)
def test_a_note_holds_for_its_call_and_farm(key: bytes, call_id: str, tag: str) -> None:
    sealed = call_note.seal(KEY, "call", "tag", NOTE)
    assert call_note.unseal(key, call_id, tag, sealed) is None


def test_a_note_that_was_touched_is_none() -> None:
    sealed = call_note.seal(KEY, "call", "tag", NOTE)
    for place, letter in enumerate(sealed[:-1]):
        other = "A" if letter != "A" else "B"
        touched = sealed[:place] + other + sealed[place + 1 :]
        assert call_note.unseal(KEY, "call", "tag", touched) is None
    for end in range(len(sealed)):
        assert call_note.unseal(KEY, "call", "tag", sealed[:end]) is None


def test_texts_are_cut_with_a_mark() -> None:
    assert call_note.short("x" * call_note.TEXT_CHARS_MAX) == "x" * call_note.TEXT_CHARS_MAX
    cut = call_note.short("x" * 9_999)
    assert len(cut) == call_note.TEXT_CHARS_MAX
    assert cut.endswith("x...")
