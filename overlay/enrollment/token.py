"""Tokens: a token is a line of text with which a node enrolls, once, before it expires.

In: where the enrollment service is, which CA is the right one, a secret. Out: the text, and back.
Counterparts: `sipfarm ca token` makes it, `sipfarm node join` reads it, `token_book.py` remembers
it. Whoever has the text can enroll one node, so it must be handed over like a password.
"""

import base64
import binascii
from collections.abc import Callable
from hashlib import sha256
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from overlay.base import decoding
from overlay.base.errors import IdentityError

PREFIX: Final = "sipfarm1-"
TOKEN_CHARS_MAX: Final = 1_000
ID_BYTES: Final = 8
SECRET_BYTES: Final = 20
FINGERPRINT_BYTES: Final = 32


class Token(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The content of a token."""

    host: str
    """The host of the enrollment service."""
    port: int
    fingerprint: bytes
    """SHA-256 of the CA's certificate."""
    token_id: bytes
    secret: bytes
    node: str = ""
    """The name that the node must have; empty if it may choose one."""

    def __repr__(self) -> str:
        return f"Token({self.token_id.hex()})"


_encoder = msgspec.msgpack.Encoder()
_decode: Callable[[bytes | memoryview], Token] = decoding.msgpack(Token)


def fingerprint_of(authority: x509.Certificate) -> bytes:
    """SHA-256 of the CA's certificate in DER, as a token has it."""
    return sha256(authority.public_bytes(serialization.Encoding.DER)).digest()


def format_token(token: Token) -> str:
    """The token as text without blanks."""
    return PREFIX + base64.urlsafe_b64encode(_encoder.encode(token)).decode().rstrip("=")


def parse_token(text: str) -> Token:
    """The token that `format_token` made this text of. Raises `IdentityError` for anything else."""
    text = text.strip()
    body = text.removeprefix(PREFIX)
    if body == text or len(text) > TOKEN_CHARS_MAX:
        raise IdentityError(f"not a token: those begin with {PREFIX}")
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        token = _decode(data)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise IdentityError("not a token, or only a part of one") from error
    lengths = (len(token.fingerprint), len(token.token_id), len(token.secret))
    if lengths != (FINGERPRINT_BYTES, ID_BYTES, SECRET_BYTES) or not 0 < token.port < 65536:
        raise IdentityError("not a token, or only a part of one")
    return token
