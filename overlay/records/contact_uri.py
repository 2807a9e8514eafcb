"""Whether two Contact URIs are equivalent (RFC 3261 19.1.4).

In: two SIP URIs that were checked when they came in. Out: yes or no. Counterpart: `registrar.py`.

The relation is not transitive, because a parameter that only one of the two URIs has is ignored. So
it can tell which bindings a REGISTER means, but it cannot be the key of a record.
"""

import re
from typing import Final

_MUST_BE_IN_BOTH: Final = ("user", "ttl", "method", "maddr", "transport")
_ESCAPED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()"
)


def same(one: str, two: str) -> bool:
    """Whether both URIs name the same resource."""
    if one == two:
        return True
    first, second = _parts(one), _parts(two)
    if first[0] != second[0] or first[2] != second[2]:
        return False
    mine, theirs = first[1], second[1]
    if any((name in mine) != (name in theirs) for name in _MUST_BE_IN_BOTH):
        return False
    return all(theirs.get(name, value) == value for name, value in mine.items())


def _parts(uri: str) -> tuple[tuple[str, ...], dict[str, str], frozenset[tuple[str, str]]]:
    """Three parts of a URI: the scheme, user, host and port, which must be equal; the parameters;
    the header fields."""
    scheme, _, rest = uri.partition(":")
    user, at, rest = rest.rpartition("@")
    rest, _, header_text = rest.partition("?")
    host_port, *parameter_texts = rest.split(";")
    parameters = dict(_pair(text) for text in parameter_texts)
    headers = frozenset(
        (name.lower(), _plain(value))
        for name, _, value in (text.partition("=") for text in header_text.split("&"))
    )
    must = (scheme.lower(), _plain(user) + at, host_port.lower())
    return must, {name: value.lower() for name, value in parameters.items()}, headers


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return _plain(name).lower(), _plain(value)


def _plain(text: str) -> str:
    """The text in which only those characters are escaped that must be."""

    def unescape(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        return character if character in _UNRESERVED else found[0].upper()

    return _ESCAPED.sub(unescape, text)
