"""What every message between nodes has, and how a link begins and ends.

In and out: one msgpack array a frame, told apart by its first element. Every request carries an id
that its answer repeats. A field added at the end is compatible both ways: older nodes ignore it,
newer ones see its default. Counterparts: `record_messages.py`, `member_messages.py` and
`farm_messages.py` declare the other kinds; `peer_codec.py` reads and writes them.
"""

from enum import StrEnum
from typing import ClassVar

import msgspec

from overlay.records.node_info import NodeInfo

PROTOCOL_VERSION = 1
PROTOCOL_VERSION_MIN = 1


class Capability(StrEnum):
    """What a node says that it understands, beyond what every node of its protocol version does.

    A kind of request that came after its version is only sent to peers that name its capability
    (`PeerRequest.needs`): their daemons would close the link on it otherwise.
    """

    CLAIMS = "claims"
    """It counts the calls that a subscriber has at a time."""
    DATAGRAMS = "datagrams"
    """It answers pings beside the links."""
    COMPARISON = "comparison"
    """Lists of members are compared, and links closed by agreement."""
    MAINTENANCE = "maintenance"
    """It grants the lease of the node that drains."""
    LOCKOUTS = "lockouts"
    """It is told of those who guess passwords."""
    SETTINGS = "settings"
    """It keeps the farm's settings."""


class Message(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Base of everything on a link; `id` pairs an answer with its request, 0 for neither."""

    id: int = 0


class PeerReply(Message, frozen=True, kw_only=True):
    """Base of all answers."""


class Ack(PeerReply, frozen=True, kw_only=True, tag=4):
    """Done, with nothing to say."""


class Failed(PeerReply, frozen=True, kw_only=True, tag=5):
    """The request could not be done; `code` is for programs, `reason` for people."""

    code: str
    reason: str


class PeerRequest(Message, frozen=True, kw_only=True):
    """Base of all requests; what a kind says of itself is all that the links know of it."""

    answered_by: ClassVar[type[PeerReply]] = Ack
    """What says that it was done. A peer that answers with another kind, `Failed` apart, is taken
    to have failed."""
    needs: ClassVar[Capability | None] = None
    """What a peer must be capable of to be asked this."""
    upkeep: ClassVar[bool] = False
    """Asked on a link because the link is there: not a use that keeps it."""


class Hello(Message, frozen=True, kw_only=True, tag=1):
    """The first frame of each side."""

    version_min: int
    version_max: int
    farm: str
    node: NodeInfo
    incarnation: int
    """Higher at every start of the node, about Unix time in ms: tells a restarted peer from the one
    before."""
    capabilities: tuple[str, ...] = ()
    software: str = ""


class Goodbye(Message, frozen=True, kw_only=True, tag=2):
    """The sender leaves the farm, or refuses the link; the text says why."""

    left: bool
    reason: str = ""
