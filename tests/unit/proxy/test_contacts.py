"""Contact header fields: what phones send, and what attackers do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import contacts
from proxy.contacts import ALL_CONTACTS, Contact, ContactError

GOOD = [
    ("<sip:a@192.0.2.1>", Contact("sip:a@192.0.2.1")),
    ("sip:a@192.0.2.1;expires=60;q=0.5", Contact("sip:a@192.0.2.1", 60, 500)),
    ("<sip:a@192.0.2.1;transport=tcp>;q=1.0", Contact("sip:a@192.0.2.1;transport=tcp", None, 1000)),
    ('"A, <B>; \\" C" <sip:a@h>;expires="30"', Contact("sip:a@h", 30)),
    ("Alice Anders <sips:a@[2001:db8::1]:5061>", Contact("sips:a@[2001:db8::1]:5061")),
    (
        '<sip:a@h>;+sip.instance="<urn:uuid:1,2;3>";Expires=7',
        Contact("sip:a@h", 7, instance="<urn:uuid:1,2;3>"),
    ),
    (
        '<sip:a@h>;REG-ID=2;+SIP.instance="<urn:uuid:1>"',
        Contact("sip:a@h", instance="<urn:uuid:1>", reg_id=2),
    ),
    ("<sip:a@h>;reg-id=2", Contact("sip:a@h")),
    ('<sip:a@h>;reg-id=2147483648;+sip.instance="<u>"', Contact("sip:a@h", instance="<u>")),
    ('<sip:a@h>;reg-id=x;+sip.instance="no brackets"', Contact("sip:a@h")),
    ("<sip:a@h?Route=%3Csip:x%3E>", Contact("sip:a@h?Route=%3Csip:x%3E")),
    ("<sip:a;x=y@h>;Q=0", Contact("sip:a;x=y@h", None, 0)),
    ("<sip:a@h> ; expires = 5", Contact("sip:a@h", 5)),
    ("<sip:a@h>;expires=soon", Contact("sip:a@h", contacts.EXPIRES_MALFORMED_S)),
    ("<sip:a@h>;expires=99999999999999", Contact("sip:a@h", contacts.EXPIRES_S_MAX)),
    ("<sip:a@h>;", Contact("sip:a@h")),
    ("<SIP:a@h>", Contact("SIP:a@h")),
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
    assert contacts.parse([value]) == [expected]


@pytest.mark.parametrize("value", BAD)
def test_refuses_what_is_not_a_contact(value: str) -> None:
    with pytest.raises(ContactError):
        contacts.parse([value])


def test_reads_several_contacts_of_several_header_fields() -> None:
    found = contacts.parse(['"x,y" <sip:a@h>;q=0.1, sip:b@h;q=0.2', "<sip:c@h>"])
    assert found == [
        Contact("sip:a@h", None, 100),
        Contact("sip:b@h", None, 200),
        Contact("sip:c@h"),
    ]


def test_a_star_stands_alone() -> None:
    assert contacts.parse([" * "]) == ALL_CONTACTS
    with pytest.raises(ContactError):
        contacts.parse(["*", "*"])


def test_no_contacts_is_a_question() -> None:
    assert contacts.parse([]) == []


@given(st.lists(st.text(max_size=60), max_size=4))
def test_anything_is_read_or_refused(values: list[str]) -> None:
    try:
        found = contacts.parse(values)
    except ContactError:
        return
    if found != ALL_CONTACTS:
        for contact in found:
            assert contact.uri.isprintable()
            assert not set(contact.uri) & set('<>", \r\n')


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
        unique_by=lambda contact: contact[1],
    )
)
def test_what_is_written_is_read_back(written: list[tuple[str, str, int, int]]) -> None:
    fields = []
    for name, uri, expires_s, q in written:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        fields.append(f'"{quoted}" <{uri}>;q={q / 1000:.3f};expires={expires_s}')
    expected = [Contact(uri, expires_s, q) for _, uri, expires_s, q in written]
    assert contacts.parse([", ".join(fields)]) == expected
    assert contacts.parse(fields) == expected
