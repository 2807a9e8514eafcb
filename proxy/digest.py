"""Digest access authentication for SIP (RFC 7616, RFC 8760): the computation, without any I/O.

In: credentials as a client sent them, secrets, keys, the time. Out: challenges, and whether an
answer is right. Counterpart: `routes/auth.py`, which knows the messages and the subscribers.

A nonce states when it expires, and is signed for the node that made it. A node accepts only its own
nonces, since it alone knows which answers to them it has accepted before.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2s, md5, sha256
from hmac import compare_digest
from typing import Final

from overlay.base.joined import joined

NONCE_S: Final = 30
"""How long a nonce is good. The time is short because each accepted answer is remembered for as
long, in some 150 bytes of Kamailio's shared memory; a client that is late is told `stale=true`."""
RANDOM_BYTES: Final = 8
_MAC_BYTES: Final = 12
_NONCE: Final = re.compile(r"([0-9a-f]{8})([0-9a-f]{16})([0-9a-f]{24})")
_PARAMETER: Final = re.compile(
    r'[\s,]*+([a-z0-9_*-]++)\s*+=\s*+("(?:[^"\\]++|\\.)*+"|[^\s,"]++)', re.I | re.S
)
"""One parameter and what stands before it. Nothing in it is tried twice."""
_REST: Final = re.compile(r"[\s,]*+")
PARAMETERS_MAX: Final = 32
"""Parameters in one header field; RFC 7616 knows a dozen."""
_COUNT: Final = re.compile(r"[0-9a-fA-F]{8}")
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_HASHES: Final[dict[str, Callable[[bytes], str]]] = {
    "MD5": lambda data: md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: sha256(data).hexdigest(),
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """One Authorization or Proxy-Authorization header field."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str
    """`MD5` or `SHA-256`."""
    qop: str
    """`auth`, or empty with a client that knows no qop (RFC 2069)."""
    count: str
    """How often the client has used the nonce, 8 hex digits; empty without qop."""
    cnonce: str

    @property
    def use(self) -> str:
        """The use of the nonce, which is accepted once. Without qop no hash covers the count, so it
        is left out."""
        return f"{self.nonce}{self.count}"


def parse(value: str) -> Credentials | None:
    """The credentials in a header field's value; None for a value that cannot be checked."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    found = _parameters(rest)
    algorithm = found.get("algorithm", "MD5").upper()
    qop = found.get("qop", "").lower()
    if algorithm not in _HASHES or qop not in ("", "auth"):
        return None
    count = found.get("nc", "") if qop else ""
    needed = ("username", "realm", "nonce", "uri", "response")
    if not all(found.get(name) for name in needed):
        return None
    if qop and not (_COUNT.fullmatch(count) and found.get("cnonce")):
        return None
    return Credentials(
        **{name: found[name] for name in needed},
        algorithm=algorithm,
        qop=qop,
        count=count,
        cnonce=found.get("cnonce", ""),
    )


def is_right(credentials: Credentials, ha1: str, method: str) -> bool:
    """Whether the answer proves knowledge of `ha1`, which must be of the answer's algorithm."""
    expected = response(credentials, ha1, method)
    given = credentials.response.lower()
    return given.isascii() and compare_digest(given, expected)


def response(credentials: Credentials, ha1: str, method: str) -> str:
    """The right answer (RFC 7616 3.4.1)."""
    ha2 = _hash(credentials.algorithm, method, credentials.uri)
    if not credentials.qop:
        return _hash(credentials.algorithm, ha1, credentials.nonce, ha2)
    middle = (credentials.nonce, credentials.count, credentials.cnonce, credentials.qop)
    return _hash(credentials.algorithm, ha1, *middle, ha2)


def challenge(realm: str, nonce: str, algorithm: str, *, stale: bool) -> str:
    """The value of a WWW-Authenticate or Proxy-Authenticate header field."""
    text = f'Digest realm="{realm}", nonce="{nonce}", algorithm={algorithm}, qop="auth"'
    return f"{text}, stale=true" if stale else text


def make_nonce(key: bytes, node: str, now_s: float, random: bytes) -> str:
    """A nonce of this node; `random` has `RANDOM_BYTES`."""
    text = f"{int(now_s) + NONCE_S:08x}{random.hex()}"
    return text + _mac(key, node, text)


def is_fresh(key: bytes, node: str, now_s: float, nonce: str) -> bool:
    """Whether this node made the nonce, and it has not expired."""
    found = _NONCE.fullmatch(nonce)
    if found is None or int(found[1], 16) <= now_s:
        return False
    return compare_digest(found[3], _mac(key, node, nonce[: -2 * _MAC_BYTES]))


def _mac(key: bytes, node: str, text: str) -> str:
    data = joined("nonce", node, text)
    return blake2s(data, key=key, digest_size=_MAC_BYTES).hexdigest()


def _hash(algorithm: str, *parts: str) -> str:
    return _HASHES[algorithm](":".join(parts).encode("utf-8", "surrogateescape"))


def _parameters(text: str) -> dict[str, str]:
    """The parameters by their names in lower case; empty if the text is not a list of them, or has
    too many."""
    found: dict[str, str] = {}
    position = 0
    while parameter := _PARAMETER.match(text, position):
        if len(found) == PARAMETERS_MAX:
            return {}
        found[parameter[1].lower()] = _plain(parameter[2])
        position = parameter.end()
    return found if _REST.fullmatch(text, position) else {}


def _plain(text: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", text[1:-1]) if text.startswith('"') else text
