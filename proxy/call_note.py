"""What an INVITE tells of its call, sealed, for the call events that later messages cause.

In: a `CallNote`. Out: the value of a URI parameter, which travels in the farm's Record-Route; and
the note again, on any node that the Record-Route comes back to. Counterpart: `routes/notes.py`
gathers and reads notes.

The value is encrypted, because the callee's phone sees it and need not know under which account,
from where and by which way the caller calls. It is authentic, for this call alone. And equal notes
of one call have equal values, so no random number is in it: two nodes that forward the same INVITE
forward it alike. AES-SIV gives all of this (RFC 5297); its associated data are the Call-ID and the
caller's tag.
"""

from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

TEXT_CHARS_MAX: Final = 128
"""Limit of each field. A request that grows beyond 1,300 bytes has to leave by TCP (RFC 3261
18.1.1)."""
CUT: Final = "..."
"""The end of a text that was longer."""
SEALED_CHARS_MAX: Final = 2_048


class CallNote(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What the node of an INVITE knew of the call; a text is empty if the node did not know it."""

    subscriber: str = ""
    """Address-of-record of the subscriber who proved to be the caller."""
    asserted: str = ""
    """The caller's identity that the farm or a trusted peer vouches for (RFC 3325)."""
    dialled: str = ""
    """Request-URI as it came."""
    routed: str = ""
    """Request-URI as it went on."""
    source: str = ""
    """`transport:address:port` that the INVITE came from."""


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE: Final = str.maketrans("-_", "+/")
"""The alphabet of RFC 4648 5. Python's `base64` does the same through four functions, which costs
too much for each message."""
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(CallNote)


def short(text: str) -> str:
    """The text, cut to `TEXT_CHARS_MAX` with `CUT` at its end if it is longer."""
    if len(text) <= TEXT_CHARS_MAX:
        return text
    return text[: TEXT_CHARS_MAX - len(CUT)] + CUT


def seal(key: bytes, call_id: str, from_tag: str, note: CallNote) -> str:
    """The note as the value of a URI parameter."""
    sealed = _cipher(key).encrypt(_encoder.encode(note), _bound_to(call_id, from_tag))
    text = b2a_base64(sealed, newline=False).rstrip(b"=").translate(_URL_SAFE)
    return text.decode()


def unseal(key: bytes, call_id: str, from_tag: str, text: str) -> CallNote | None:
    """The note that `seal` was given; None for a value that the farm did not write for this
    call."""
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
