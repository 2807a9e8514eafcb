"""What is known of a call when its INVITE passes, and needed when it is answered: sealed text.

In: a `CallNote`. Out: a URI parameter's value that travels in the farm's Record-Route, and the note
again where that comes back, on any node. Counterpart: `routes/notes.py` gathers and reads notes.

The value is encrypted, as the callee sees it and need not know who calls under which account, from
where, and by which way; and authentic, for this call alone. Equal notes of one call have equal
values: two nodes that forward the same INVITE forward it alike, so no random number is in it. Both
is what AES-SIV is for (RFC 5297); its associated data are the Call-ID and the caller's tag.
"""

from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

TEXT_CHARS_MAX: Final = 128
"""Of each field: a request that grows beyond 1,300 bytes has to leave by TCP (RFC 3261 18.1.1)."""
CUT: Final = "..."
"""How a text ends that was longer."""
SEALED_CHARS_MAX: Final = 2_048


class CallNote(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What an INVITE's node knew; empty texts for what it did not know."""

    subscriber: str = ""
    """Address-of-record of who proved to be the caller."""
    asserted: str = ""
    """The identity that the farm vouches for, or a trusted peer did (RFC 3325)."""
    dialled: str = ""
    """Request-URI as it came."""
    routed: str = ""
    """Request-URI as it went on."""
    source: str = ""
    """`transport:address:port` that it came from."""


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE: Final = str.maketrans("-_", "+/")
"""RFC 4648 5. `base64` does the same through four functions, which is felt at every message."""
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(CallNote)


def short(text: str) -> str:
    """The text, or its beginning with a mark."""
    if len(text) <= TEXT_CHARS_MAX:
        return text
    return text[: TEXT_CHARS_MAX - len(CUT)] + CUT


def seal(key: bytes, call_id: str, from_tag: str, note: CallNote) -> str:
    """The note as a parameter's value."""
    sealed = _cipher(key).encrypt(_encoder.encode(note), _bound_to(call_id, from_tag))
    text = b2a_base64(sealed, newline=False).rstrip(b"=").translate(_URL_SAFE)
    return text.decode()


def unseal(key: bytes, call_id: str, from_tag: str, text: str) -> CallNote | None:
    """The note of `seal`; None for what the farm did not write for this call."""
    if not text or len(text) > SEALED_CHARS_MAX:
        return None
    try:
        sealed = a2b_base64(text.translate(_FROM_URL_SAFE) + "=" * (-len(text) % 4))
        return _decoder.decode(_cipher(key).decrypt(sealed, _bound_to(call_id, from_tag)))
    except (ValueError, InvalidTag, msgspec.MsgspecError):
        return None


@lru_cache(maxsize=2)
def _cipher(key: bytes) -> AESSIV:
    return AESSIV(blake2b(key=key, person=b"call note", digest_size=32).digest())


def _bound_to(call_id: str, from_tag: str) -> list[bytes]:
    return [text.encode("utf-8", "surrogateescape") for text in (call_id, from_tag)]
