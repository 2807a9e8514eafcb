"""Joins texts to what is hashed or signed, so that no part can be taken for the end of another.

In: the parts, which may come from strangers. Out: bytes that no other parts of the same purpose
make. Counterparts: ids and signatures of `overlay.records`, `overlay.billing` and `proxy`.

A separator is enough where no part contains it. That is how release 0.1.0 joins all parts, and all
that its nodes have stored and signed; so texts without the separator keep that form for ever. A
text with a separator in it has another form, which tells the length of each part. No phone sends
one, and a proxy refuses it on arrival (`proxy/routes/admission.py`); only a record that an older
proxy wrote of such a message has another id than that proxy gave it.
"""

from typing import Final

_SEPARATOR: Final = "\0"


def joined(*parts: str) -> bytes:
    """The parts as bytes. Where one purpose has different numbers of parts, the first part must
    never be empty: the form with lengths begins with a separator, and has more of them."""
    text = _SEPARATOR.join(parts)
    data = text.encode("utf-8", "surrogateescape")
    if text.count(_SEPARATOR) == len(parts) - 1:
        return data
    lengths = ",".join(str(len(each.encode("utf-8", "surrogateescape"))) for each in parts)
    return f"{_SEPARATOR * len(parts)}{lengths}{_SEPARATOR}".encode() + data
