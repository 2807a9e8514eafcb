"""What a node remembers of one other node.

In and out: these values. `members.py` has the rules that change them.
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
        """The wait after so many failures in a row. The caller adds a random time of up to the same
        length."""
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 32))


@dataclass(kw_only=True)
class Member:
    """One other node."""

    info: NodeInfo
    state: State
    since_s: float
    """When the member came into this state, on the loop's clock."""
    number: int
    """The member's id as a number."""
    claim: MemberClaim = (0, State.ALIVE)
    linked: bool = False
    proven: bool = False
    """Whether a link has shown that this id lives at this address."""
    suspicion: Suspicion | None = None
    """The suspicion, while the member is a suspect."""
    dial_after_s: float = 0.0
    """The member is not dialled before this time."""
    dials_failed: int = 0
    """Failed dials in a row."""

    @property
    def incarnation(self) -> int:
        """The highest incarnation that was heard of."""
        return self.claim[0]


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What follows from a claim that another node made."""

    news: bool = False
    """The claim should be passed on."""
    check: bool = False
    """The member should be probed at once: this node's own link may contradict the claim."""
    dial: bool = False
    """The member should be dialled: it is said to be alive, and there is no link."""
