"""How far a node is with handing its records over to others, and what it waits for.

In: `overlay.replication.drain` finds it out. Out: answers for operators.
"""

from enum import IntEnum

import msgspec


class DrainWish(IntEnum):
    """What the asked node is to do about its draining."""

    LOOK = 0
    BEGIN = 1
    BEGIN_FORCED = 2
    """Begin even while another node drains or is dead, or if fewer than W nodes would stay."""
    END = 3


class DrainPhase(IntEnum):
    """How far the node is."""

    SERVING = 0
    DRAINING = 1
    """The node gets no new records, and hands over those that it holds."""
    DRAINED = 2
    """Other nodes are proven to hold all of its records."""


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A record or an event that the nodes that should hold it do not hold yet."""

    kind: str
    """`registration`, `call` or `subscriber`; of a call event, `START`, `STOP` and so on."""
    name: str
    """An address-of-record or a Call-ID; empty if this node cannot tell."""
    key: bytes
    """The record's key."""
    peers: tuple[str, ...] = ()
    """The nodes that should hold it and have not confirmed that they do. Empty: there is no such
    node."""


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """A node that has not confirmed records that it should hold."""

    name: str
    records: int
    """How many such records there are."""
    why: str


class DrainState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a node's draining is."""

    phase: DrainPhase
    records: int = 0
    """How many records the node holds, by its last pass over all of them."""
    unproven: int = 0
    """How many of these are not proven to be on all nodes that should hold them."""
    copies: int = 0
    """The fewest proven copies on other nodes that any of the records has."""
    journal: int = 0
    """Call events that are on fewer than W disks."""
    problem: str = ""
    """What keeps the draining from being done; empty if nothing does."""
    still_s: float = 0.0
    """For how many seconds the draining has made no progress."""
    missing: tuple[Missing, ...] = ()
    """Some of the unproven records. They are named when the draining has made no progress for some
    seconds."""
    peers: tuple[Withheld, ...] = ()
    """The nodes that have not confirmed them."""
    events: tuple[Missing, ...] = ()
    """Some of the call events that are on too few disks."""
