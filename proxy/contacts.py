"""Reads the Contact header fields of a REGISTER (RFC 3261 20.10).

In: the values of the header fields, which may hold anything. Out: `Contact`s, or `ALL_CONTACTS` for
`*`, or a `ContactError` that says what is wrong. Counterpart: `routes/registrar.py`.
"""

import re
from typing import Final, Literal

from overlay.base.limits import URI_CHARS_MAX
from overlay.records.register import Contact
from proxy import sip_uri

ALL_CONTACTS: Final = "*"
Q_DEFAULT: Final = 1000
PIECES_MAX: Final = 64
"""Contacts in one REGISTER, and parameters of one Contact. The daemon limits how many Contacts a
subscriber may have."""
EXPIRES_S_MAX: Final = 2**32 - 1
EXPIRES_MALFORMED_S: Final = 3600
"""A delta-seconds that is not a number counts as this (RFC 3261 20.19)."""
REG_ID_MAX: Final = 2**31 - 1
INSTANCE_CHARS_MAX: Final = 256

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_BETWEEN_COMMAS = re.compile(rf'(?:[^",<>]+|{_QUOTED}|<[^<>]*>)+', re.DOTALL)
_BETWEEN_SEMICOLONS = re.compile(rf'(?:[^";]+|{_QUOTED})+', re.DOTALL)
_DISPLAY_NAME = re.compile(rf"\s*(?:{_QUOTED}|[^\"<>]*)\s*", re.DOTALL)
_URI = re.compile(r'sips?:[^\s<>"\\^`{|}\x00-\x20\x7f,]+', re.IGNORECASE)
_BARE_URI = re.compile(r'sips?:[^\s<>"\\^`{|}\x00-\x20\x7f,?]+', re.IGNORECASE)
_INSTANCE = re.compile(r'"<[^\s<>"\\\x00-\x20\x7f]+>"')
_Q = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class ContactError(ValueError):
    """The header field breaks a rule of RFC 3261; the text is the reason of the 400."""


def parse(values: list[str], unsaid_s: int) -> list[Contact] | Literal["*"]:
    """All Contacts of a request, from one string for each header field; raises `ContactError`.

    `unsaid_s`: the time of the Contacts that give none, in s (RFC 3261 10.3 step 7).
    """
    if [value.strip() for value in values] == [ALL_CONTACTS]:
        return ALL_CONTACTS
    texts = [text for value in values for text in _split(value, ",", _BETWEEN_COMMAS)]
    if len(texts) > PIECES_MAX:
        raise ContactError("Too Many Contacts")
    contacts = [_contact(text, unsaid_s) for text in texts]
    if len({contact.uri for contact in contacts}) != len(contacts):
        raise ContactError("Contact Given Twice")
    return contacts


def delta_seconds(text: str) -> int:
    """The seconds of an Expires header field or parameter."""
    text = text.strip()
    if not text.isascii() or not text.isdigit():
        return EXPIRES_MALFORMED_S
    return min(int(text[:11]), EXPIRES_S_MAX)


def _contact(text: str, unsaid_s: int) -> Contact:
    if "<" in text:
        name = _DISPLAY_NAME.match(text)
        start = name.end() if name else 0
        end = text.find(">", start)
        if text[start : start + 1] != "<" or end < 0:
            raise ContactError("Bad Contact")
        uri, rest, grammar = text[start + 1 : end].strip(), text[end + 1 :].strip(), _URI
        if rest and not rest.startswith(";"):
            raise ContactError("Bad Contact")
        rest = rest[1:]
    else:
        uri, _, rest = text.strip().partition(";")
        uri, grammar = uri.strip(), _BARE_URI
    if len(uri) > URI_CHARS_MAX:
        raise ContactError("Contact Too Long")
    if not grammar.fullmatch(uri) or not sip_uri.host_of(uri):
        raise ContactError("Bad Contact URI")
    if sip_uri.transport_of(uri) not in sip_uri.TRANSPORTS:
        raise ContactError("Unknown Transport")
    expires_s, q, instance, reg_id = unsaid_s, Q_DEFAULT, "", 0
    for parameter in _split(rest, ";", _BETWEEN_SEMICOLONS) if rest.strip() else ():
        name_text, _, value = parameter.partition("=")
        match name_text.strip().lower():
            case "expires":
                expires_s = delta_seconds(value.strip().strip('"'))
            case "q":
                q = _thousandths(value.strip())
            case "+sip.instance":
                instance = _instance(value.strip())
            case "reg-id":
                reg_id = _reg_id(value.strip())
    return Contact(
        uri=uri, expires_s=expires_s, q=q, instance=instance, reg_id=reg_id if instance else 0
    )


def _instance(text: str) -> str:
    """The device's name. It is empty for one that is malformed, which is no reason to refuse the
    Contact."""
    good = len(text) <= INSTANCE_CHARS_MAX and _INSTANCE.fullmatch(text)
    return text[1:-1] if good else ""


def _reg_id(text: str) -> int:
    """The number; 0 for one that is out of range, which then does not count (RFC 5626 6)."""
    number = int(text[:11]) if text.isascii() and text.isdigit() else 0
    return number if number <= REG_ID_MAX else 0


def _thousandths(text: str) -> int:
    if not _Q.fullmatch(text):
        raise ContactError("Bad Contact q")
    whole, _, fraction = text.partition(".")
    return int(whole) * 1000 + int(fraction.ljust(3, "0"))


def _split(text: str, separator: str, piece: re.Pattern[str]) -> list[str]:
    """The pieces between separators that are neither quoted nor in angle brackets."""
    pieces: list[str] = []
    position = 0
    while True:
        found = piece.match(text, position)
        if found is None or not found.group().strip():
            raise ContactError("Bad Contact")
        if len(pieces) == PIECES_MAX:
            raise ContactError("Too Many Contacts" if separator == "," else "Too Many Parameters")
        pieces.append(found.group())
        position = found.end()
        if position == len(text):
            return pieces
        if text[position] != separator:
            raise ContactError("Bad Contact")
        position += 1


def is_sip_uri(text: str) -> bool:
    """Whether the text is a `sip:` or `sips:` URI with a host, without any character that would end
    a header field or an angle bracket."""
    return bool(_URI.fullmatch(text)) and bool(sip_uri.host_of(text))
