"""The farm's members and the state of each, as this node sees them.

In: links that come up and break, dials that fail, probes, claims of other nodes, time. Out: the
state of each member, and its changes. Counterparts: `membership.py` dials, probes and informs the
rest of the daemon; `kept_links.py` chooses the members to link to, if the farm is too large to link
to all.

Of each member, a node keeps two things. The *claim* (`overlay.links.member_claims`) is what the
farm says about the member. It is the same on all nodes that heard the same. The *state* is what
this node acts on: the claim, checked against this node's own link if there is one. A member whose
link answers is never dead.

Up to `links_kept` members form a mesh, in which a member without a link is not alive. In a larger
farm the claim decides about members without a link. But hearsay does not make such a member dead at
once, so that it has time to refute.

    (heard of) ──link up──► alive ──link breaks, probes missed, suspected by others──► suspect
                              ▲ ◄──────────link up, probe answered, refuted───────────────┘ │
                              ├──goodbye──► left ──link up──► alive                         │
                              └────────link up── dead ◄──refused, timeout, said dead────────┘
"""

import random
from collections.abc import Iterator

from overlay.base import limit_hits
from overlay.base.limits import MEMBERS_MAX
from overlay.links.member_claims import (
    RANK,
    MemberClaim,
    State,
    agreed,
    claim_of,
    merge,
    order,
    same_place,
    with_traits,
)
from overlay.links.member_messages import MemberUpdate
from overlay.links.peer_protocol import Hello
from overlay.membership.kept_links import KeptLinks
from overlay.membership.member import LIVING, Learned, Member, Redial
from overlay.membership.suspicion import Patience, Suspicion
from overlay.records.node_info import NodeInfo

__all__ = ["LIVING", "Learned", "Member", "Members", "Patience", "Redial", "State"]


class Members:
    """The members and the rules of their states; no I/O, no clock of its own."""

    def __init__(
        self,
        own_id: bytes,
        patience: Patience,
        redial: Redial,
        chance: random.Random,
        links_kept: int = MEMBERS_MAX,
    ) -> None:
        self._own_id = own_id
        self._links_kept = links_kept
        self._patience = patience
        self._redial = redial
        self._chance = chance
        self._members: dict[bytes, Member] = {}
        self._suspects: dict[bytes, Member] = {}
        self._linked: dict[bytes, None] = {}
        self._dead: dict[bytes, Member] = {}
        """Members in state DEAD, which includes members that were only heard of."""
        self._living = 0
        self._said_to_live = 0
        self._was_mesh = True
        self._kept = KeptLinks(own_id, links_kept)
        self._stranger_s = 0.0
        self._lost: tuple[int, frozenset[str]] = (-1, frozenset())
        self.version = 0
        """Grows with every change of a claim."""
        self._living_version = 0

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def get(self, node_id: bytes) -> Member | None:
        """The member with this id, if it was ever heard of."""
        return self._members.get(node_id)

    def linked(self) -> list[bytes]:
        """Ids of the members with a link."""
        return list(self._linked)

    def suspects(self) -> list[bytes]:
        """Ids of the members that are suspect."""
        return list(self._suspects)

    @property
    def living(self) -> int:
        """The number of nodes that are alive or suspect, this node included."""
        return 1 + self._living

    def lost_names(self) -> frozenset[str]:
        """Names of members that are dead or have left, without names that a living member has
        too."""
        if self._lost[0] != self._living_version:
            gone = {m.info.name for m in self._members.values() if m.state not in LIVING}
            lives = {m.info.name for m in self._members.values() if m.state in LIVING}
            self._lost = (self._living_version, frozenset(gone - lives))
        return self._lost[1]

    @property
    def mesh(self) -> bool:
        """Whether the farm is small enough to link to all members."""
        return self._said_to_live <= self._links_kept

    def kept(self, node_id: bytes) -> bool:
        """Whether a link to this member stays open although nobody uses it."""
        return self.mesh or node_id in self._kept

    def heard_of(self, info: NodeInfo, now_s: float) -> bool:
        """Another node named this node; True if that is news and the node should be dialled."""
        if info.node_id == self._own_id or info.node_id in self._members:
            return False
        if len(self._members) >= MEMBERS_MAX:
            limit_hits.hit("MEMBERS_MAX")
            return False
        self._add(info, State.DEAD, now_s)
        return True

    def link_up(self, hello: Hello, now_s: float) -> Member:
        """A link shows that the member lives. Its own statement of its address counts."""
        member = self._members.get(hello.node.node_id)
        if member is None:
            member = self._add(hello.node, State.ALIVE, now_s)
        # After this link was dialled, the node may have told others more about itself.
        older = hello.incarnation < member.incarnation
        member.info = with_traits(hello.node, member.info.traits) if older else hello.node
        if hello.incarnation > member.incarnation:
            self._set_claim(member, (hello.incarnation, State.ALIVE))
        member.linked, member.proven, member.dials_failed = True, True, 0
        self._linked[hello.node.node_id] = None
        self._enter(member, State.ALIVE, now_s)
        return member

    def parted(self, node_id: bytes, now_s: float) -> None:
        """The last link ended by agreement of both ends. That says nothing about the member's
        state."""
        member = self._members.get(node_id)
        if member is not None and member.linked:
            self._unlink(member, now_s)

    def link_down(self, node_id: bytes, left: bool, now_s: float) -> Member | None:
        """The last link broke; the member, if it had a link."""
        member = self._members.get(node_id)
        if member is None or not member.linked:
            return None
        self._unlink(member, now_s)
        if left or member.claim[1] is State.LEFT:
            self._claim(member, State.LEFT, now_s)
        elif member.state is State.ALIVE:
            self._claim(member, State.SUSPECT, now_s)
        return member

    def dial_failed(self, node_id: bytes, refused: bool, now_s: float) -> Member | None:
        """A dial failed; the member, if that made it a suspect, or made a suspect dead.

        A host that refuses the connection is up, but its daemon is not, so there is no need to
        wait.
        """
        member = self._members.get(node_id)
        if member is None:
            return None
        member.dials_failed += 1
        again_s = self._redial.after_s(member.dials_failed)
        member.dial_after_s = now_s + again_s * (1 + self._chance.random())
        if refused and member.state is State.SUSPECT and not member.linked:
            self._claim(member, State.DEAD, now_s)
            return member
        if member.state is State.ALIVE and not member.linked:
            # Only hearsay says that the member is alive. A second dial decides.
            member.dial_after_s = now_s + self._redial.first_s
            self._claim(member, State.SUSPECT, now_s)
            return member
        return None

    def probe_missed(self, node_id: bytes, now_s: float) -> Member | None:
        """Neither this node nor its helpers had an answer; the member, if that is worth telling."""
        member = self._members.get(node_id)
        if member is None or not member.linked:
            return None
        if member.state is State.ALIVE:
            self._claim(member, State.SUSPECT, now_s)
            return member
        if member.suspicion is not None and member.suspicion.confirm(self._own_id):
            return member
        return None

    def probe_answered(self, node_id: bytes, now_s: float) -> Member | None:
        """The member answered this node; the member is returned if it was suspect or even taken for
        dead.

        A dead member can have a link: if there were two links, the second one outlives the verdict.
        A suspect without a link gets time for a link, as it lives, but nobody can ask it anything.
        """
        member = self._members.get(node_id)
        if member is not None and member.suspicion is not None and not member.linked:
            member.suspicion.restart(now_s)
        doubted = (State.SUSPECT, State.DEAD)
        if member is None or member.state not in doubted or not member.linked:
            return None
        self._enter(member, State.ALIVE, now_s)
        return member

    def learn(self, update: MemberUpdate, now_s: float) -> Learned:
        """Take in another node's claim about a member other than this node itself."""
        member, said = self._members.get(update.node.node_id), claim_of(update)
        if member is None:
            if RANK[said[1]] >= RANK[State.DEAD] or not self.heard_of(update.node, now_s):
                return Learned()
            member = self._members[update.node.node_id]
            self._set_claim(member, said)
            if not self.mesh:
                self._enter(member, State.ALIVE, now_s)
                if said[1] is State.SUSPECT:
                    self._suspect(member, update.origin, now_s)
            return Learned(news=True, dial=True)
        if order(said) < order(member.claim):
            return Learned()
        if said == member.claim:
            traits = agreed(member.info.traits, update.node.traits)
            if traits != member.info.traits:
                member.info = with_traits(member.info, traits)
                return Learned(news=True)
            suspicion = member.suspicion if said[1] is State.SUSPECT else None
            return Learned(news=suspicion is not None and suspicion.confirm(update.origin))
        self._set_claim(member, merge(member.claim, said))
        return self._act(member, said[1], update, now_s)

    def by_hearsay(self, now_s: float) -> list[Member]:
        """The members that become alive without a link, when the farm has become too large for a
        mesh."""
        if self._was_mesh == self.mesh:
            return []
        self._was_mesh = self.mesh
        if self.mesh:
            return []
        came = [
            member
            for member in self._members.values()
            if member.state is State.DEAD and member.claim[1] in LIVING and member.incarnation
        ]
        for member in came:
            self._enter(member, State.ALIVE, now_s)
        return came

    def overdue(self, now_s: float) -> list[tuple[Member, bool]]:
        """Declare suspects dead whose time is up. With each goes whether that is news."""
        late = [m for m in self._suspects.values() if m.suspicion and m.suspicion.until_s <= now_s]
        news = [member.claim[1] is not State.DEAD for member in late]
        for member in late:
            self._claim(member, State.DEAD, now_s)
        return list(zip(late, news, strict=True))

    def next_deadline_s(self) -> float | None:
        """When the time of the first suspect is up; None without suspects."""
        ends = [m.suspicion.until_s for m in self._suspects.values() if m.suspicion]
        return min(ends, default=None)

    def postpone(self, by_s: float) -> None:
        """This node was frozen for so long, so suspects get as much more time to refute."""
        for member in self._suspects.values():
            if member.suspicion:
                member.suspicion.postpone(by_s)

    def to_dial(self, now_s: float) -> list[Member]:
        """The members without a link that should be dialled now.

        In a mesh these are all members. In a larger farm, they are the members whose links are
        kept, and one at a time of the dead or merely heard-of members. If that one answers, it
        leads to the others.
        """
        if self.mesh:
            return [member for member in self._members.values() if _due(member, now_s)]
        self._kept.review(self._living_numbers, self._living_version, now_s)
        unlinked = self._kept.without(self._linked)
        members = [self._members[node_id] for node_id in unlinked if node_id in self._members]
        found = [member for member in members if _due(member, now_s)]
        if now_s >= self._stranger_s:
            self._stranger_s = now_s + self._redial.first_s
            due = [member for member in self._dead.values() if _due(member, now_s)]
            if due:
                found.append(self._chance.choice(due))
        return found

    def forget(self, older_than_s: float, now_s: float) -> list[Member]:
        """Drop and return members that left or died longer ago than `older_than_s`."""
        gone = [
            member
            for member in self._members.values()
            if member.state in (State.DEAD, State.LEFT) and now_s - member.since_s > older_than_s
        ]
        for member in gone:
            del self._members[member.info.node_id]
            self._dead.pop(member.info.node_id, None)
            self._living_version += 1
            self._linked.pop(member.info.node_id, None)
            self._said_to_live -= member.incarnation > 0 and member.claim[1] in LIVING
            self.version += 1
        return gone

    def _add(self, info: NodeInfo, state: State, now_s: float) -> Member:
        number = int.from_bytes(info.node_id)
        member = Member(info=info, state=state, since_s=now_s, number=number)
        self._members[info.node_id] = member
        self._living += state in LIVING
        if state is State.DEAD:
            self._dead[info.node_id] = member
        self._living_version += 1
        return member

    def _living_numbers(self) -> list[int]:
        return [member.number for member in self._members.values() if member.state in LIVING]

    def _unlink(self, member: Member, now_s: float) -> None:
        member.linked = False
        member.dial_after_s = now_s
        self._linked.pop(member.info.node_id, None)

    def _set_claim(self, member: Member, claim: MemberClaim) -> None:
        if claim == member.claim:
            return
        before, member.claim = member.claim, claim
        self._said_to_live -= before[0] > 0 and before[1] in LIVING
        self._said_to_live += claim[0] > 0 and claim[1] in LIVING
        self.version += 1

    def _act(self, member: Member, said: State, update: MemberUpdate, now_s: float) -> Learned:
        """Act on a claim that overrules the one before. This node's own link comes before
        hearsay."""
        if said is State.ALIVE:
            if member.linked:
                member.info = with_traits(member.info, update.node.traits)
                self._enter(member, State.ALIVE, now_s)
                return Learned(news=True)
            if not self.mesh:
                self._enter(member, State.ALIVE, now_s)
            elif member.state is State.LEFT:
                self._enter(member, State.DEAD, now_s)
            member.proven = member.proven and same_place(member.info, update.node)
            member.info = with_traits(update.node, update.node.traits or member.info.traits)
            member.dial_after_s, member.dials_failed = now_s, 0
            return Learned(news=True, dial=True)
        if said is State.LEFT:
            if not member.linked:
                self._enter(member, State.LEFT, now_s)
            return Learned(news=True)
        if member.state in (State.ALIVE, State.SUSPECT):
            if said is State.DEAD and not member.linked and self.mesh:
                self._enter(member, State.DEAD, now_s)
                return Learned(news=True)
            self._suspect(member, update.origin, now_s)
            if said is State.DEAD and member.suspicion is not None:
                member.suspicion.press()
        return Learned(news=True, check=member.linked)

    def _claim(self, member: Member, state: State, now_s: float) -> None:
        """Note a state that this node found out by itself."""
        self._set_claim(member, merge(member.claim, (member.incarnation, state)))
        if state is State.SUSPECT:
            self._suspect(member, self._own_id, now_s)
        else:
            self._enter(member, state, now_s)

    def _suspect(self, member: Member, origin: bytes, now_s: float) -> None:
        if member.suspicion is not None:
            member.suspicion.confirm(origin)
            return
        self._enter(member, State.SUSPECT, now_s)
        member.suspicion = Suspicion(self._patience, self.living, origin, now_s)
        self._suspects[member.info.node_id] = member

    def _enter(self, member: Member, state: State, now_s: float) -> None:
        if state is not State.SUSPECT:
            member.suspicion = None
            self._suspects.pop(member.info.node_id, None)
        if member.state is not state:
            self._living += (state in LIVING) - (member.state in LIVING)
            self._living_version += (state in LIVING) is not (member.state in LIVING)
            self._dead.pop(member.info.node_id, None)
            if state is State.DEAD:
                self._dead[member.info.node_id] = member
            member.state = state
            member.since_s = now_s


def _due(member: Member, now_s: float) -> bool:
    return not member.linked and member.state is not State.LEFT and member.dial_after_s <= now_s
