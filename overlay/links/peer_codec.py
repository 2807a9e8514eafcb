"""Encodes and decodes the messages between nodes.

In: payloads of frames; messages. Out: messages; payloads. A kind of message may be sent if it is a
subclass of `PeerRequest` or `PeerReply` in a module named here. No other list of kinds exists.
"""

from typing import Final

import msgspec

from overlay.base import decoding
from overlay.links import farm_messages, member_messages, peer_protocol, record_messages
from overlay.links.peer_protocol import Goodbye, Hello, Message, PeerReply, PeerRequest

_MODULES: Final = (peer_protocol, record_messages, member_messages, farm_messages)

REQUESTS: Final = decoding.kinds_in(PeerRequest, *_MODULES)
"""Every kind of request."""
REPLIES: Final = decoding.kinds_in(PeerReply, *_MODULES)
"""Every kind of answer."""

_KINDS: Final[tuple[type[Message], ...]] = (Hello, Goodbye, *REQUESTS, *REPLIES)
_TAGS: Final = frozenset(kind.__struct_config__.tag for kind in _KINDS)


class MessageHead(msgspec.Struct, frozen=True, array_like=True):
    """The beginning that all messages have in common."""

    tag: int
    id: int


def unknown_kind(payload: bytes) -> MessageHead | None:
    """The head of a message whose kind this version does not know; None for any other payload."""
    try:
        head: MessageHead = _decode_head(payload)
    except msgspec.MsgspecError:
        return None
    return None if head.tag in _TAGS else head


_decode_head = decoding.msgpack(MessageHead)
encode = msgspec.msgpack.Encoder().encode
decode = decoding.any_of(_KINDS)
