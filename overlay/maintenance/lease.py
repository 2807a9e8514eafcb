"""Who has the farm's maintenance lease, as one node keeps it: rules without clock or network.

In: this node's own attempts, what other nodes ask, time. Out: granted, or who has it instead.
Counterparts: `lease_keeper.py` asks the other nodes and answers them; `maintenance.py` says when.

    free ──asked──► asked for ──granted by every node──► held ──given back, left, lapsed──► free
             ▲ ◄──refused, overtaken, lapsed──┘            ▲ └──renewed──┐
             └──────────────────────────────── taken by force ◄──────────┘

A node begins by writing itself into its own book, and wins when every other node that lives has
granted it the lease meanwhile. So of two nodes that see each other only one can win: each needs the
other's book, which names the other from its begin on. Whoever has it by then goes before whoever
asks; of two that ask the lower id. A node whose own attempt is overtaken in its own book has lost.
"""

import math
from dataclasses import dataclass, replace

ASKED_S = 5.0
"""How long a node that asks is remembered; above the time that an attempt can take."""
HELD_S = 30.0
"""How long a holder that says nothing more is: it died, or was stopped for its upgrade."""
RENEWED_EVERY_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a node's book says."""

    holder: bytes
    """Id."""
    name: str
    held: bool
    """False: it asks the others still."""
    since_s: float
    until_s: float


class LeaseBook:
    """The lease as one node knows it."""

    def __init__(self, own_id: bytes, own_name: str) -> None:
        self._own_id = own_id
        self._own_name = own_name
        self._grant: Grant | None = None

    def current(self, now_s: float) -> Grant | None:
        """Who has it, or asks for it."""
        if self._grant is not None and self._grant.until_s <= now_s:
            self._grant = None
        return self._grant

    def mine(self, now_s: float) -> bool:
        """Whether this node has it, or asks for it."""
        grant = self.current(now_s)
        return grant is not None and grant.holder == self._own_id

    def begin(self, now_s: float, *, forced: bool = False) -> Grant | None:
        """This node asks for it, or takes it by force; who has it instead, if somebody does."""
        grant = self.current(now_s)
        if grant is not None and grant.holder != self._own_id and not forced:
            return grant
        self._grant = Grant(
            holder=self._own_id,
            name=self._own_name,
            held=forced,
            since_s=now_s,
            until_s=math.inf,
        )
        return None

    def won(self, now_s: float) -> bool:
        """Every other node has granted it: this one has it, unless it was overtaken meanwhile."""
        grant = self.current(now_s)
        if grant is None or grant.holder != self._own_id:
            return False
        self._grant = replace(grant, held=True, since_s=now_s)
        return True

    def asked(
        self,
        holder: bytes,
        name: str,
        now_s: float,
        *,
        held: bool = False,
        forced: bool = False,
        since_s: float | None = None,
    ) -> Grant | None:
        """Another node asks for it, or, with `held`, says that it has it; None: granted.

        `since_s`: since when it has it, by this node's clock.
        """
        grant = self.current(now_s)
        if grant is not None and grant.holder != holder and not forced:
            if grant.held or not (held or holder < grant.holder):
                return grant
            grant = None
        began_s = now_s if since_s is None else since_s
        if grant is not None and grant.holder == holder and grant.held == held:
            began_s = grant.since_s
        self._grant = Grant(
            holder=holder,
            name=name,
            held=held,
            since_s=began_s,
            until_s=now_s + (HELD_S if held else ASKED_S),
        )
        return None

    def ended(self, holder: bytes) -> None:
        """This node gives it back, or has lost it, or has left the farm."""
        if self._grant is not None and self._grant.holder == holder:
            self._grant = None
