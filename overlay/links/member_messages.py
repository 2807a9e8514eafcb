"""What nodes say to each other of who is there, and of their links.

Counterparts: `overlay.membership`, `overlay.dht`; `network.py` answers what concerns links.
"""

from typing import Annotated

import msgspec

from overlay.links.peer_protocol import Capability, PeerReply, PeerRequest
from overlay.records.node_info import Key, NodeInfo


class MemberUpdate(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a node says of another, or of itself."""

    node: NodeInfo
    state: int
    """Place in `overlay.links.member_claims.BY_RANK`."""
    incarnation: int
    origin: Key
    """Id of the node that found this out."""


class Ping(PeerRequest, frozen=True, kw_only=True, tag=3):
    """Answered by `Ack`."""

    upkeep = True


class Nodes(PeerReply, frozen=True, kw_only=True, tag=7):
    """The nodes nearest to the target that the answerer knows to be alive."""

    nodes: tuple[NodeInfo, ...]


class FindNode(PeerRequest, frozen=True, kw_only=True, tag=6):
    """Kademlia FIND_NODE."""

    answered_by = Nodes

    target: Key


class Gossip(PeerRequest, frozen=True, kw_only=True, tag=40):
    """News of members."""

    upkeep = True

    updates: tuple[MemberUpdate, ...]


class PingFor(PeerRequest, frozen=True, kw_only=True, tag=41):
    """Ping this node for me. Answered by `Ack`, or by `Failed` with code `silent` in good time."""

    upkeep = True

    target: Key


class MembersAre(PeerReply, frozen=True, kw_only=True, tag=43):
    """What the answerer has in slices whose digests differ."""

    updates: tuple[MemberUpdate, ...]
    next: int
    """Slice to go on with; the number of slices when that was all."""


class CompareMembers(PeerRequest, frozen=True, kw_only=True, tag=42):
    """Digests of the sender's list of members."""

    answered_by = MembersAre
    needs = Capability.COMPARISON
    upkeep = True

    digests: bytes
    """One for each slice of the id space (`overlay.membership.comparison`)."""
    first: int = 0
    """Slices before this one are of no interest."""


class Idle(PeerRequest, frozen=True, kw_only=True, tag=44):
    """The sender, who dialled this link, would close it. Answered by `Ack`: the answerer has taken
    it out of use; or by `Failed` with code `wanted`."""

    needs = Capability.COMPARISON
    upkeep = True


class DatagramKey(PeerRequest, frozen=True, kw_only=True, tag=45):
    """What the receiver is to key its datagrams to the sender with."""

    needs = Capability.DATAGRAMS
    upkeep = True

    key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
