"""The messages between nodes about the farm's members and about their links.

Counterparts: `overlay.membership` and `overlay.dht`; `network.py` answers the messages that concern
links.
"""

from typing import Annotated

import msgspec

from overlay.links.peer_protocol import Capability, PeerReply, PeerRequest
from overlay.records.node_info import Key, NodeInfo


class MemberUpdate(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A claim: what one node says about the state of another node, or about its own."""

    node: NodeInfo
    state: int
    """The state's index in `overlay.links.member_claims.BY_RANK`."""
    incarnation: int
    origin: Key
    """Id of the node that found this out."""


class Ping(PeerRequest, frozen=True, kw_only=True, tag=3):
    """Asks whether the receiver lives. Answered by `Ack`."""

    upkeep = True


class Nodes(PeerReply, frozen=True, kw_only=True, tag=7):
    """The nodes nearest to the target that the answerer knows to be alive."""

    nodes: tuple[NodeInfo, ...]


class FindNode(PeerRequest, frozen=True, kw_only=True, tag=6):
    """Kademlia FIND_NODE: asks for the nodes nearest to a target."""

    answered_by = Nodes

    target: Key


class Gossip(PeerRequest, frozen=True, kw_only=True, tag=40):
    """News of members."""

    upkeep = True

    updates: tuple[MemberUpdate, ...]


class PingFor(PeerRequest, frozen=True, kw_only=True, tag=41):
    """Asks the receiver to ping a node on the sender's behalf. Answered by `Ack`, or in good time
    by `Failed` with code `silent`."""

    upkeep = True

    target: Key


class MembersAre(PeerReply, frozen=True, kw_only=True, tag=43):
    """The answerer's claims in the slices whose digests differ from the sender's."""

    updates: tuple[MemberUpdate, ...]
    next: int
    """The slice to go on with; the number of slices if nothing is left."""


class CompareMembers(PeerRequest, frozen=True, kw_only=True, tag=42):
    """Digests of the sender's list of members. Answered by `MembersAre`."""

    answered_by = MembersAre
    needs = Capability.COMPARISON
    upkeep = True

    digests: bytes
    """One digest for each slice of the id space (`overlay.membership.comparison`)."""
    first: int = 0
    """The receiver passes over the slices before this one."""


class Idle(PeerRequest, frozen=True, kw_only=True, tag=44):
    """The sender dialled this link and wants to close it. Answered by `Ack` if the answerer has
    taken it out of use, or by `Failed` with code `wanted`."""

    needs = Capability.COMPARISON
    upkeep = True


class DatagramKey(PeerRequest, frozen=True, kw_only=True, tag=45):
    """The key that the receiver has to use in datagrams to the sender."""

    needs = Capability.DATAGRAMS
    upkeep = True

    key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
