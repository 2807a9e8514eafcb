"""What a node keeps of one other node.

In and out: these values; `members.py` has the rules that change them.
"""

from dataclasses import dataclass

from overlay.links.member_claims import MemberClaim, State
from overlay.membership.suspicion import Suspicion
from overlay.records.node_info import NodeInfo

LIVING = (State.ALIVE, State.SUSPECT)


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
    number: int
    """Its id."""
    claim: MemberClaim = (0, State.ALIVE)
    linked: bool = False
    proven: bool = False
    """A link has shown that this id lives at this address."""
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
