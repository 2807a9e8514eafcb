"""How far a node is with handing its records over, and what it waits for.

In: `overlay.replication.drain` finds it out. Out: answers for operators.
"""

from enum import IntEnum

import msgspec


class DrainWish(IntEnum):
    """What to do about the draining of the asked node."""

    LOOK = 0
    BEGIN = 1
    BEGIN_FORCED = 2
    """Also while another node drains or is dead, or fewer than W nodes would stay."""
    END = 3


class DrainPhase(IntEnum):
    """How far it is."""

    SERVING = 0
    DRAINING = 1
    """It gets no new records, and hands over those that it holds."""
    DRAINED = 2
    """Others are proven to hold all of them."""


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Something that others do not hold yet."""

    kind: str
    """`registration`, `call`, `subscriber`, or of a call event `START`, `STOP` and so on."""
    name: str
    """Address-of-record or Call-ID; empty if this node cannot tell."""
    key: bytes
    """Of the record."""
    peers: tuple[str, ...] = ()
    """Nodes that should hold it and have not confirmed that; none: there is no such node."""


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """A node that has not confirmed what it should hold."""

    name: str
    records: int
    """How many."""
    why: str


class DrainState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a node's draining is."""

    phase: DrainPhase
    records: int = 0
    """That it holds, by the last look at all of them."""
    unproven: int = 0
    """Of these: not proven to be on all the nodes that they belong to."""
    copies: int = 0
    """The fewest proven copies elsewhere that one of them has."""
    journal: int = 0
    """Call events that are on fewer than W disks."""
    problem: str = ""
    """What keeps it from being done."""
    still_s: float = 0.0
    """For how long nothing has come closer to being done."""
    missing: tuple[Missing, ...] = ()
    """Some of the unproven records, named when nothing moves for some seconds."""
    peers: tuple[Withheld, ...] = ()
    """The nodes that have not confirmed them."""
    events: tuple[Missing, ...] = ()
    """Some of the call events on too few disks."""
