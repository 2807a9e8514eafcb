"""What one node claims about another, and which of two claims holds.

In: claims from links and from gossip, in any order. Out: the claim that holds. Counterparts:
`overlay.membership.members` applies claims; `overlay.membership.gossip` passes them on.

A claim holds against another if its incarnation is higher. Within one incarnation, the claim of the
worse state holds. Only the node itself raises its incarnation, and it does so to refute. The
maximum of two claims is commutative, associative and idempotent. So nodes that heard the same
claims agree, in whatever order they heard them.
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
    """The state of a member."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    """The member's link broke, or it missed probes. It keeps its place until it is dead."""
    DEAD = "dead"
    LEFT = "left"
    """The member said that it leaves for good."""


BY_RANK = (State.ALIVE, State.SUSPECT, State.DEAD, State.LEFT)
RANK = {state: rank for rank, state in enumerate(BY_RANK)}

REFUTED_MAX = 1_000_000
"""The number of refutations that one run of a node may need."""

MemberClaim = tuple[int, State]
"""Incarnation and state."""


def order(claim: MemberClaim) -> tuple[int, int]:
    """The sort key of claims: the greater claim holds."""
    return (claim[0], RANK[claim[1]])


def merge(one: MemberClaim, other: MemberClaim) -> MemberClaim:
    """The claim that holds."""
    return max(one, other, key=order)


def claim_of(update: MemberUpdate) -> MemberClaim:
    """The claim in an update that is `sane`."""
    return (update.incarnation, BY_RANK[update.state])


def same_place(one: NodeInfo, other: NodeInfo) -> bool:
    """Whether both are the same node at the same address."""
    return (one.node_id, one.host, one.port) == (other.node_id, other.host, other.port)


def with_traits(info: NodeInfo, traits: Traits | None) -> NodeInfo:
    """The node with these traits; with its own traits if these are None."""
    if traits is None or traits == info.traits:
        return info
    return msgspec.structs.replace(info, traits=traits)


def placed_alike(one: Traits | None, other: Traits | None) -> bool:
    """Whether the difference concerns only phones, so that records keep their places."""
    if one is None or other is None:
        return one == other
    alike = msgspec.structs.replace(
        one, proxy_away=other.proxy_away, software=other.software, metrics=other.metrics
    )
    return alike == other


def agreed(one: Traits | None, other: Traits | None) -> Traits | None:
    """The traits to keep of two reports about one incarnation. They differ only if a node on the
    way dropped some.

    Commutative, associative and idempotent.
    """
    if one is None or other is None:
        return one or other
    return max(one, other)


def sane_node(info: NodeInfo) -> bool:
    """Whether this can be the description of a node at all. It may be hearsay."""
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
    """Whether the text is empty, or an IPv6 address in a form that DNS allows."""
    try:
        return not text or ipaddress.IPv6Address(text[: HOST_CHARS_MAX + 1]).scope_id is None
    except ValueError:
        return False


def _is_endpoint(text: str) -> bool:
    """Whether the text is empty, or an IP address and port in the form that Prometheus takes."""
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
    """Whether a peer can have sent this update."""
    return (
        sane_node(update.node)
        and len(update.origin) == NODE_ID_BYTES
        and 0 <= update.state < len(BY_RANK)
        and 0 <= update.incarnation < INCARNATION_MAX
    )


def next_incarnation(before: int, now_ms: int) -> int:
    """The incarnation to start with: higher than any that the previous run may have had.

    The clock alone would do if it never went back. The stored value alone would do if no disk was
    ever lost.
    """
    return max(now_ms, before + REFUTED_MAX if before else 0)
