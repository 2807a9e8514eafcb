"""Contact header fields as phones and attackers write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.records.register import Contact
from proxy import contacts
from proxy.contacts import ALL_CONTACTS, ContactError

UNSAID_S = 77


def contact(
    uri: str, expires_s: int = UNSAID_S, q: int = 1000, instance: str = "", reg_id: int = 0
) -> Contact:
    return Contact(uri=uri, expires_s=expires_s, q=q, instance=instance, reg_id=reg_id)


GOOD = [
    ("<sip:a@192.0.2.1>", contact("sip:a@192.0.2.1")),
    ("sip:a@192.0.2.1;expires=60;q=0.5", contact("sip:a@192.0.2.1", 60, 500)),
    (
        "<sip:a@192.0.2.1;transport=tcp>;q=1.0",
        contact("sip:a@192.0.2.1;transport=tcp"),
    ),
    ('"A, <B>; \\" C" <sip:a@h>;expires="30"', contact("sip:a@h", 30)),
    ("Alice Anders <sips:a@[2001:db8::1]:5061>", contact("sips:a@[2001:db8::1]:5061")),
    (
        '<sip:a@h>;+sip.instance="<urn:uuid:1,2;3>";Expires=7',
        contact("sip:a@h", 7, instance="<urn:uuid:1,2;3>"),
    ),
    (
        '<sip:a@h>;REG-ID=2;+SIP.instance="<urn:uuid:1>"',
        contact("sip:a@h", instance="<urn:uuid:1>", reg_id=2),
    ),
    ("<sip:a@h>;reg-id=2", contact("sip:a@h")),
    ('<sip:a@h>;reg-id=2147483648;+sip.instance="<u>"', contact("sip:a@h", instance="<u>")),
    ('<sip:a@h>;reg-id=x;+sip.instance="no brackets"', contact("sip:a@h")),
    ("<sip:a@h?Route=%3Csip:x%3E>", contact("sip:a@h?Route=%3Csip:x%3E")),
    ("<sip:a;x=y@h>;Q=0", contact("sip:a;x=y@h", UNSAID_S, 0)),
    ("<sip:a@h> ; expires = 5", contact("sip:a@h", 5)),
    ("<sip:a@h>;expires=soon", contact("sip:a@h", contacts.EXPIRES_MALFORMED_S)),
    ("<sip:a@h>;expires=99999999999999", contact("sip:a@h", contacts.EXPIRES_S_MAX)),
    ("<sip:a@h>;", contact("sip:a@h")),
    ("<SIP:a@h>", contact("SIP:a@h")),
]

BAD = [
    "",
    ",",
    "<sip:a@h>,",
    "<sip:a@h>,,<sip:b@h>",
    "<sip:a@h",
    "sip:a@h>",
    '"open <sip:a@h>',
    "<sip:a@h> trailing",
    "<sip:a@h>;q=2",
    "<sip:a@h>;q=.5",
    "<sip:a@h>;q=0.1234",
    "<sip:>",
    "<sip:@>",
    "<tel:+491234>",
    "<sip:a@h;transport=pigeon>",
    "<http://h/>",
    "<sip:a b@h>",
    "<sip:a@h\x00>",
    "<<sip:a@h>>",
    "<sip:a@h>, *",
    "*, <sip:a@h>",
    "<sip:a@h>, <sip:a@h>",
    "<sip:" + "a" * 2000 + "@h>",
    ",".join(f"<sip:{n}@h>" for n in range(contacts.PIECES_MAX + 1)),
]


@pytest.mark.parametrize(("value", "expected"), GOOD)
def test_reads_what_phones_send(value: str, expected: Contact) -> None:
    assert contacts.parse([value], UNSAID_S) == [expected]


@pytest.mark.parametrize("value", BAD)
def test_refuses_what_is_not_a_contact(value: str) -> None:
    with pytest.raises(ContactError):
        contacts.parse([value], UNSAID_S)


def test_reads_several_contacts_of_several_header_fields() -> None:
    found = contacts.parse(['"x,y" <sip:a@h>;q=0.1, sip:b@h;q=0.2', "<sip:c@h>"], UNSAID_S)
    assert found == [
        contact("sip:a@h", UNSAID_S, 100),
        contact("sip:b@h", UNSAID_S, 200),
        contact("sip:c@h"),
    ]


def test_a_star_stands_alone() -> None:
    assert contacts.parse([" * "], UNSAID_S) == ALL_CONTACTS
    with pytest.raises(ContactError):
        contacts.parse(["*", "*"], UNSAID_S)


def test_no_contacts_is_a_question() -> None:
    assert contacts.parse([], UNSAID_S) == []


@given(st.lists(st.text(max_size=60), max_size=4))
def test_anything_is_read_or_refused(values: list[str]) -> None:
    try:
        found = contacts.parse(values, UNSAID_S)
    except ContactError:
        return
    if found != ALL_CONTACTS:
        for each in found:
            assert each.uri.isprintable()
            assert not set(each.uri) & set('<>", \r\n')


_HOSTILE = st.text(st.sampled_from('<>",;= \\sip:a@h*q01.\r\n'), max_size=80)


@given(st.lists(_HOSTILE, max_size=4))
def test_anything_that_looks_like_a_contact_is_read_or_refused(values: list[str]) -> None:
    test_anything_is_read_or_refused.hypothesis.inner_test(values)  # type: ignore[attr-defined]


_URI = st.from_regex(r"sips?:[a-z0-9.%;=-]{1,20}@[a-z0-9.]{1,20}", fullmatch=True)
_NAME = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=20)


@given(
    st.lists(
        st.tuples(_NAME, _URI, st.integers(0, 2**32 - 1), st.integers(0, 1000)),
        min_size=1,
        max_size=6,
        unique_by=lambda each: each[1],
    )
)
def test_what_is_written_is_read_back(written: list[tuple[str, str, int, int]]) -> None:
    fields = []
    for name, uri, expires_s, q in written:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        fields.append(f'"{quoted}" <{uri}>;q={q / 1000:.3f};expires={expires_s}')
    expected = [contact(uri, expires_s, q) for _, uri, expires_s, q in written]
    assert contacts.parse([", ".join(fields)], UNSAID_S) == expected
    assert contacts.parse(fields, UNSAID_S) == expected
