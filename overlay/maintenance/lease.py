"""The farm's maintenance lease as one node keeps it: rules without clock or network.

In: this node's own attempts, the requests of other nodes, and the time. Out: the lease is granted,
or which node has it instead. Counterparts: `lease_keeper.py` asks the other nodes and answers them;
`maintenance.py` decides when.

    free ──asked──► asked for ──granted by every node──► held ──given back, left, lapsed──► free
             ▲ ◄──refused, overtaken, lapsed──┘            ▲ └──renewed──┐
             └──────────────────────────────── taken by force ◄──────────┘

A node that wants the lease first writes itself into its own book. It wins when every other living
node has granted it the lease. So of two nodes that see each other only one can win: each of them
needs the other's grant, and the other's book names the other from the begin of its attempt. A node
that holds the lease goes before a node that asks for it. Of two nodes that ask, the one with the
lower id goes first. A node whose own attempt is overtaken in its own book has lost.
"""

import math
from dataclasses import dataclass, replace

ASKED_S = 5.0
"""How long a node that asks is remembered. This is longer than an attempt can take."""
HELD_S = 30.0
"""How long a holder that no longer renews is remembered: it died, or was stopped for its
upgrade."""
RENEWED_EVERY_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The entry in a node's book."""

    holder: bytes
    """The holder's id."""
    name: str
    held: bool
    """False: the holder is still asking the others."""
    since_s: float
    until_s: float


class LeaseBook:
    """The lease as one node knows it."""

    def __init__(self, own_id: bytes, own_name: str) -> None:
        self._own_id = own_id
        self._own_name = own_name
        self._grant: Grant | None = None

    def current(self, now_s: float) -> Grant | None:
        """The entry of the node that has the lease or asks for it; None if there is none."""
        if self._grant is not None and self._grant.until_s <= now_s:
            self._grant = None
        return self._grant

    def mine(self, now_s: float) -> bool:
        """Whether this node has the lease or asks for it."""
        grant = self.current(now_s)
        return grant is not None and grant.holder == self._own_id

    def begin(self, now_s: float, *, forced: bool = False) -> Grant | None:
        """Begin this node's attempt, or take the lease by force; the entry of the other node that
        has the lease, if one has."""
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
        """Hold the lease, as every other node has granted it; False if this node was overtaken
        meanwhile."""
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
        """Another node asks for the lease or, with `held`, says that it has it.

        Returns None if the lease is granted, else the entry that stands against it. `since_s`: the
        time, by this node's clock, from which the other node has had the lease.
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
        """Forget the holder: it gave the lease back, lost it, or left the farm."""
        if self._grant is not None and self._grant.holder == holder:
            self._grant = None
