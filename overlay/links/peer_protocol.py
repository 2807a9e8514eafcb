"""The fields that all messages between nodes have, and the messages that begin and end a link.

In and out: one msgpack array in each frame. Its first element tells the kind. Every request carries
an id, which its answer repeats. A field added at the end is compatible in both directions: older
nodes ignore it, and newer nodes see its default when it is missing. Counterparts:
`record_messages.py`, `member_messages.py` and `farm_messages.py` declare the other kinds;
`peer_codec.py` encodes and decodes them.
"""

from enum import StrEnum
from typing import ClassVar

import msgspec

from overlay.records.node_info import NodeInfo

PROTOCOL_VERSION = 1
PROTOCOL_VERSION_MIN = 1


class Capability(StrEnum):
    """What a node understands beyond the messages that every node of its protocol version
    understands.

    A kind of request that was added after a protocol version goes only to peers that name its
    capability (`PeerRequest.needs`). A peer without the capability would close the link.
    """

    CLAIMS = "claims"
    """The node counts the calls that a subscriber has at a time."""
    DATAGRAMS = "datagrams"
    """The node answers pings beside the links."""
    COMPARISON = "comparison"
    """The node compares lists of members, and closes links by agreement."""
    MAINTENANCE = "maintenance"
    """The node grants the lease that a draining node needs."""
    LOCKOUTS = "lockouts"
    """The node wants to hear of senders that guess passwords."""
    SETTINGS = "settings"
    """The node keeps the farm's settings."""


class Message(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Base of all messages on a link. `id` pairs an answer with its request; it is 0 in other
    messages."""

    id: int = 0


class PeerReply(Message, frozen=True, kw_only=True):
    """Base of all answers."""


class Ack(PeerReply, frozen=True, kw_only=True, tag=4):
    """The request is done, and there is nothing else to say."""


class Failed(PeerReply, frozen=True, kw_only=True, tag=5):
    """The request could not be done. `code` is for programs, `reason` for people."""

    code: str
    reason: str


class PeerRequest(Message, frozen=True, kw_only=True):
    """Base of all requests. The class variables of a kind are all that the links know of it."""

    answered_by: ClassVar[type[PeerReply]] = Ack
    """The kind of answer that says that the request was done. An answer of another kind, except
    `Failed`, is a mistake of the peer: the link replaces it by `Failed` with code `bad-answer`."""
    needs: ClassVar[Capability | None] = None
    """The capability that a peer must have to be asked this."""
    upkeep: ClassVar[bool] = False
    """True for requests that a link itself causes. They do not count as use, so they do not keep
    the link open."""


class Hello(Message, frozen=True, kw_only=True, tag=1):
    """The first frame of each side."""

    version_min: int
    version_max: int
    farm: str
    node: NodeInfo
    incarnation: int
    """Higher at every start of the node, about Unix time in ms. It tells a restarted peer from its
    earlier run."""
    capabilities: tuple[str, ...] = ()
    software: str = ""


class Goodbye(Message, frozen=True, kw_only=True, tag=2):
    """The sender leaves the farm, or refuses the link. The text says why."""

    left: bool
    reason: str = ""
