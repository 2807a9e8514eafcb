"""Who is in the farm and how each of them is, as this node sees it.

In: links that come up and break, dials that fail, probes, what others claim, time. Out: the state
of each member, and what changed. Counterpart: `membership.py` dials, probes and tells the rest of
the daemon.

Two things are kept of a member. Its *claim* (`updates.py`) is what the farm says of it; it is the
same on all nodes that heard the same. Its *state* is what this node acts on: the claim, checked by
this node's own link where there is one. Nobody is alive without a link, and nobody with a link
that answers is dead.

    (heard of) ──link up──► alive ──link breaks, probes missed, suspected by others──► suspect
                              ▲ ◄──────────link up, probe answered, refuted───────────────┘ │
                              ├──goodbye──► left ──link up──► alive                         │
                              └────────link up── dead ◄──refused, timeout, said dead────────┘
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from overlay.limits import MEMBERS_MAX
from overlay.links.messages import Hello, MemberUpdate, NodeInfo
from overlay.membership.suspicion import Patience, Suspicion
from overlay.membership.updates import RANK, Claim, State, claim_of, merge, order

__all__ = ["Learned", "Member", "Members", "Patience", "Redial", "State"]


@dataclass(frozen=True, kw_only=True)
class Redial:
    """How long to wait before a peer is dialled again."""

    first_s: float
    longest_s: float

    def after_s(self, failures: int) -> float:
        """After so many failures in a row; chance makes it up to twice as long."""
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 32))


@dataclass(kw_only=True)
class Member:
    """One other node."""

    info: NodeInfo
    state: State
    since_s: float
    """When it came into this state, on the loop's clock."""
    claim: Claim = (0, State.ALIVE)
    linked: bool = False
    suspicion: Suspicion | None = None
    """While it is a suspect."""
    dial_after_s: float = 0.0
    """Not to be dialled before this."""
    dials_failed: int = 0
    """In a row."""

    @property
    def incarnation(self) -> int:
        """The highest heard of."""
        return self.claim[0]


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What became of a claim."""

    news: bool = False
    """It is worth passing on."""
    check: bool = False
    """This node's own link may say otherwise: probe it at once."""
    dial: bool = False
    """It is said to be alive, and there is no link."""


class Members:
    """The members and the rules of their states; no I/O, no clock of its own."""

    def __init__(
        self, own_id: bytes, patience: Patience, redial: Redial, chance: random.Random
    ) -> None:
        self._own_id = own_id
        self._patience = patience
        self._redial = redial
        self._chance = chance
        self._members: dict[bytes, Member] = {}
        self._suspects: dict[bytes, Member] = {}

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def get(self, node_id: bytes) -> Member | None:
        """The member with this id, if it was ever heard of."""
        return self._members.get(node_id)

    def linked(self) -> list[bytes]:
        """Those with a link."""
        return [node_id for node_id, member in self._members.items() if member.linked]

    def heard_of(self, info: NodeInfo, now_s: float) -> bool:
        """Somebody spoke of this node; True when it is news and should be dialled."""
        known = info.node_id == self._own_id or info.node_id in self._members
        if known or len(self._members) >= MEMBERS_MAX:
            return False
        self._members[info.node_id] = Member(info=info, state=State.DEAD, since_s=now_s)
        return True

    def link_up(self, hello: Hello, now_s: float) -> Member:
        """A link proved that it is there; what it says of its address is believed."""
        member = self._members.get(hello.node.node_id)
        if member is None:
            member = Member(info=hello.node, state=State.ALIVE, since_s=now_s)
            self._members[hello.node.node_id] = member
        member.info = hello.node
        if hello.incarnation > member.incarnation:
            member.claim = (hello.incarnation, State.ALIVE)
        member.linked, member.dials_failed = True, 0
        self._enter(member, State.ALIVE, now_s)
        return member

    def link_down(self, node_id: bytes, left: bool, now_s: float) -> Member | None:
        """Its last link broke; the member, if it had one."""
        member = self._members.get(node_id)
        if member is None or not member.linked:
            return None
        member.linked = False
        member.dial_after_s = now_s
        if left or member.claim[1] is State.LEFT:
            self._claim(member, State.LEFT, now_s)
        elif member.state is State.ALIVE:
            self._claim(member, State.SUSPECT, now_s)
        return member

    def dial_failed(self, node_id: bytes, refused: bool, now_s: float) -> bool:
        """A dial failed; True when that makes a suspect dead.

        A host that refuses the connection is up, and its daemon is not: that needs no patience.
        """
        member = self._members.get(node_id)
        if member is None:
            return False
        member.dials_failed += 1
        again_s = self._redial.after_s(member.dials_failed)
        member.dial_after_s = now_s + again_s * (1 + self._chance.random())
        if refused and member.state is State.SUSPECT and not member.linked:
            self._claim(member, State.DEAD, now_s)
            return True
        return False

    def probe_missed(self, node_id: bytes, now_s: float) -> Member | None:
        """Neither this node nor its helpers had an answer; the member, if that is worth telling."""
        member = self._members.get(node_id)
        if member is None:
            return None
        if member.state is State.ALIVE:
            self._claim(member, State.SUSPECT, now_s)
            return member
        if member.suspicion is not None and member.suspicion.confirm(self._own_id):
            return member
        return None

    def probe_answered(self, node_id: bytes, now_s: float) -> Member | None:
        """It answered this node; the member, if it was a suspect, or even taken for dead.

        The dead can have a link: where there were two, the second one outlives the verdict.
        """
        member = self._members.get(node_id)
        doubted = (State.SUSPECT, State.DEAD)
        if member is None or member.state not in doubted or not member.linked:
            return None
        self._enter(member, State.ALIVE, now_s)
        return member

    def learn(self, update: MemberUpdate, now_s: float) -> Learned:
        """Another node claims something of a member other than this node itself."""
        member, said = self._members.get(update.node.node_id), claim_of(update)
        if member is None:
            if RANK[said[1]] >= RANK[State.DEAD] or not self.heard_of(update.node, now_s):
                return Learned()
            self._members[update.node.node_id].claim = said
            return Learned(news=True, dial=True)
        if order(said) < order(member.claim):
            return Learned()
        if said == member.claim:
            suspicion = member.suspicion if said[1] is State.SUSPECT else None
            return Learned(news=suspicion is not None and suspicion.confirm(update.origin))
        member.claim = merge(member.claim, said)
        return self._act(member, said[1], update, now_s)

    def overdue(self, now_s: float) -> list[Member]:
        """Suspects whose time is up; they are dead now."""
        late = [m for m in self._suspects.values() if m.suspicion and m.suspicion.until_s <= now_s]
        for member in late:
            self._claim(member, State.DEAD, now_s)
        return late

    def next_deadline_s(self) -> float | None:
        """When the first suspect's time is up."""
        ends = [m.suspicion.until_s for m in self._suspects.values() if m.suspicion]
        return min(ends, default=None)

    def postpone(self, by_s: float) -> None:
        """This node was frozen for so long: suspects could not refute."""
        for member in self._suspects.values():
            if member.suspicion:
                member.suspicion.postpone(by_s)

    def to_dial(self, now_s: float) -> list[Member]:
        """Members without a link whose turn it is."""
        return [
            member
            for member in self._members.values()
            if not member.linked and member.state is not State.LEFT and member.dial_after_s <= now_s
        ]

    def forget(self, older_than_s: float, now_s: float) -> list[Member]:
        """Drop those that left, and the dead of long ago, and return them."""
        gone = [
            member
            for member in self._members.values()
            if member.state in (State.DEAD, State.LEFT) and now_s - member.since_s > older_than_s
        ]
        for member in gone:
            del self._members[member.info.node_id]
        return gone

    def _act(self, member: Member, said: State, update: MemberUpdate, now_s: float) -> Learned:
        """A claim that overrules the one before; a link of this node's own has its say first."""
        if said is State.ALIVE:
            if member.linked:
                self._enter(member, State.ALIVE, now_s)
                return Learned(news=True)
            if member.state is State.LEFT:
                self._enter(member, State.DEAD, now_s)
            member.info, member.dial_after_s, member.dials_failed = update.node, now_s, 0
            return Learned(news=True, dial=True)
        if said is State.LEFT:
            if not member.linked:
                self._enter(member, State.LEFT, now_s)
            return Learned(news=True)
        if member.state in (State.ALIVE, State.SUSPECT):
            if said is State.DEAD and not member.linked:
                self._enter(member, State.DEAD, now_s)
                return Learned(news=True)
            self._suspect(member, update.origin, now_s)
            if said is State.DEAD and member.suspicion is not None:
                member.suspicion.press()
        return Learned(news=True, check=member.linked)

    def _claim(self, member: Member, state: State, now_s: float) -> None:
        """This node found it out by itself."""
        member.claim = merge(member.claim, (member.incarnation, state))
        if state is State.SUSPECT:
            self._suspect(member, self._own_id, now_s)
        else:
            self._enter(member, state, now_s)

    def _suspect(self, member: Member, origin: bytes, now_s: float) -> None:
        if member.suspicion is not None:
            member.suspicion.confirm(origin)
            return
        self._enter(member, State.SUSPECT, now_s)
        nodes = 1 + sum(m.state in (State.ALIVE, State.SUSPECT) for m in self)
        member.suspicion = Suspicion(self._patience, nodes, origin, now_s)
        self._suspects[member.info.node_id] = member

    def _enter(self, member: Member, state: State, now_s: float) -> None:
        if state is not State.SUSPECT:
            member.suspicion = None
            self._suspects.pop(member.info.node_id, None)
        if member.state is not state:
            member.state = state
            member.since_s = now_s
