"""What one node claims about another, and which of two claims holds.

In: claims from links and from gossip, in any order. Out: the one that holds. Counterparts:
`overlay.membership.members` applies them, `overlay.membership.gossip` passes them on.

A claim holds over another if its incarnation is higher, or, within one incarnation, if it says
something worse: only the node itself raises its incarnation, and does so to refute. The greater of
two is commutative, associative and idempotent, so nodes that heard the same claims agree, in
whatever order they heard them.
"""

import ipaddress
from enum import StrEnum

import msgspec

from overlay.base.addresses import endpoint, split_address
from overlay.base.errors import ConfigError
from overlay.links.member_messages import MemberUpdate
from overlay.records.node_info import NodeInfo, Traits

NODE_ID_BYTES = 20
NAME_CHARS_MAX = 63
HOST_CHARS_MAX = 45
INCARNATION_MAX = 1 << 53
ZONE_CHARS_MAX = 63
CAPACITY_MAX = 65_535
TRANSPORTS_MAX = 8
SOFTWARE_CHARS_MAX = 63
ENDPOINT_CHARS_MAX = HOST_CHARS_MAX + len("[]:65535")


class State(StrEnum):
    """How a member is."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    """Its link broke or it missed probes; it keeps its place until it is dead."""
    DEAD = "dead"
    LEFT = "left"
    """It said that it leaves for good."""


BY_RANK = (State.ALIVE, State.SUSPECT, State.DEAD, State.LEFT)
RANK = {state: rank for rank, state in enumerate(BY_RANK)}

REFUTED_MAX = 1_000_000
"""Refutations that one run of a node may need."""

MemberClaim = tuple[int, State]
"""Incarnation and state."""


def order(claim: MemberClaim) -> tuple[int, int]:
    """Sorts claims: the greater one holds."""
    return (claim[0], RANK[claim[1]])


def merge(one: MemberClaim, other: MemberClaim) -> MemberClaim:
    """The claim that holds."""
    return max(one, other, key=order)


def claim_of(update: MemberUpdate) -> MemberClaim:
    """The claim in a sane update."""
    return (update.incarnation, BY_RANK[update.state])


def same_place(one: NodeInfo, other: NodeInfo) -> bool:
    """Whether both name the same node at the same address."""
    return (one.node_id, one.host, one.port) == (other.node_id, other.host, other.port)


def with_traits(info: NodeInfo, traits: Traits | None) -> NodeInfo:
    """The node with these traits; with its own if they are unknown."""
    if traits is None or traits == info.traits:
        return info
    return msgspec.structs.replace(info, traits=traits)


def placed_alike(one: Traits | None, other: Traits | None) -> bool:
    """Whether nobody but phones minds the difference: records have the same places."""
    if one is None or other is None:
        return one == other
    alike = msgspec.structs.replace(
        one, proxy_away=other.proxy_away, software=other.software, metrics=other.metrics
    )
    return alike == other


def agreed(one: Traits | None, other: Traits | None) -> Traits | None:
    """Of two hearsays about one incarnation; they differ only where somebody dropped some.

    Commutative, associative and idempotent.
    """
    if one is None or other is None:
        return one or other
    return max(one, other)


def sane_node(info: NodeInfo) -> bool:
    """Whether hearsay about a node can be about a node at all."""
    traits = info.traits or Traits()
    return (
        len(traits.zone) <= ZONE_CHARS_MAX
        and len(traits.transports) <= TRANSPORTS_MAX
        and all(len(each) <= NAME_CHARS_MAX for each in traits.transports)
        and _is_address6(traits.address6)
        and len(traits.software) <= SOFTWARE_CHARS_MAX
        and _is_endpoint(traits.metrics)
        and 0 <= traits.capacity <= CAPACITY_MAX
        and _sane_address(info)
    )


def _is_address6(text: str) -> bool:
    """Whether it is an IPv6 address as it may stand in DNS, or empty."""
    try:
        return not text or ipaddress.IPv6Address(text[: HOST_CHARS_MAX + 1]).scope_id is None
    except ValueError:
        return False


def _is_endpoint(text: str) -> bool:
    """Whether it is an IP address with a port, as a Prometheus takes it, or empty."""
    if not text:
        return True
    try:
        host, port = split_address(text[: ENDPOINT_CHARS_MAX + 1], default_port=0)
        return text == endpoint(str(ipaddress.ip_address(host)), port) and "%" not in host
    except (ConfigError, ValueError):
        return False


def _sane_address(info: NodeInfo) -> bool:
    return (
        len(info.node_id) == NODE_ID_BYTES
        and 0 < len(info.name) <= NAME_CHARS_MAX
        and 0 < len(info.host) <= HOST_CHARS_MAX
        and 0 < info.port < 65_536
    )


def sane(update: MemberUpdate) -> bool:
    """Whether a peer of ours can have sent this."""
    return (
        sane_node(update.node)
        and len(update.origin) == NODE_ID_BYTES
        and 0 <= update.state < len(BY_RANK)
        and 0 <= update.incarnation < INCARNATION_MAX
    )


def next_incarnation(before: int, now_ms: int) -> int:
    """The incarnation to start with, above all that the run before may have had.

    The clock alone would do, if it never jumped back; what is stored alone, if no disk was ever
    lost.
    """
    return max(now_ms, before + REFUTED_MAX if before else 0)
