"""Who is in the farm and how each of them is, as this node sees it.

In: links that come up and break, dials that fail, time. Out: the state of each member, and whether
anything changed. Counterpart: `membership.py` dials, probes and tells the rest of the daemon.

States of a member, by what happens to its link:

    (heard of) ──link up──► alive ──link breaks──► suspect ──refused, or dead_after──► dead
                              ▲ ◄────link up──────────┘ ◄───────────link up────────────┘
                              └──goodbye──► left ──link up──► alive
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from overlay.links.messages import Hello, NodeInfo


class State(StrEnum):
    """How a member is."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    """Its link broke or it missed a probe; it keeps its place until it is dead."""
    DEAD = "dead"
    LEFT = "left"
    """It said that it leaves for good."""


@dataclass(kw_only=True)
class Member:
    """One other node."""

    info: NodeInfo
    state: State
    since_s: float
    """When it came into this state, on the loop's clock."""
    incarnation: int = 0
    dial_after_s: float = 0.0
    """Not to be dialled before this."""


class Members:
    """The members and the rules of their states; no I/O, no clock of its own."""

    def __init__(self, own_id: bytes, dead_after_s: float) -> None:
        self._own_id = own_id
        self._dead_after_s = dead_after_s
        self._members: dict[bytes, Member] = {}

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def get(self, node_id: bytes) -> Member | None:
        """The member with this id, if it was ever heard of."""
        return self._members.get(node_id)

    def heard_of(self, info: NodeInfo, now_s: float) -> bool:
        """Somebody spoke of this node; True when it is news and should be dialled."""
        if info.node_id == self._own_id or info.node_id in self._members:
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
        member.incarnation = hello.incarnation
        self._enter(member, State.ALIVE, now_s)
        return member

    def link_down(self, node_id: bytes, left: bool, now_s: float) -> Member | None:
        """Its last link broke; the member, if that changed its state."""
        member = self._members.get(node_id)
        if member is None or member.state is not State.ALIVE:
            return None
        self._enter(member, State.LEFT if left else State.SUSPECT, now_s)
        member.dial_after_s = now_s
        return member

    def dial_failed(self, node_id: bytes, refused: bool, now_s: float, again_s: float) -> bool:
        """A dial failed; True when that makes a suspect dead.

        A host that refuses the connection is up, and its daemon is not: that needs no patience.
        """
        member = self._members.get(node_id)
        if member is None:
            return False
        member.dial_after_s = now_s + again_s
        late = now_s - member.since_s >= self._dead_after_s
        if member.state is State.SUSPECT and (refused or late):
            self._enter(member, State.DEAD, now_s)
            return True
        return False

    def overdue(self, now_s: float) -> list[Member]:
        """Suspects whose time is up; they are dead now."""
        late = [
            member
            for member in self._members.values()
            if member.state is State.SUSPECT and now_s - member.since_s >= self._dead_after_s
        ]
        for member in late:
            self._enter(member, State.DEAD, now_s)
        return late

    def to_dial(self, now_s: float) -> list[Member]:
        """Members without a link whose turn it is."""
        return [
            member
            for member in self._members.values()
            if member.state in (State.SUSPECT, State.DEAD) and member.dial_after_s <= now_s
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

    @staticmethod
    def _enter(member: Member, state: State, now_s: float) -> None:
        if member.state is not state:
            member.state = state
            member.since_s = now_s
