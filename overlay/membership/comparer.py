"""Compares this node's list of members with a peer's, and takes over the claims that it lacks.

In: peers to ask, and their questions. Out: claims that gossip did not bring. Counterparts: the same
module on every node; `comparison.py` has the rules.

Gossip brings what happens while a node listens. The comparison brings the rest: the whole list to a
node that joins, and news that got lost. If two lists are the same, comparing them costs one small
frame each way.
"""

from collections.abc import Callable, Iterable

from overlay.base.limits import COMPARED_UPDATES_MAX
from overlay.links.member_messages import CompareMembers, MembersAre, MemberUpdate
from overlay.links.network import Transport
from overlay.membership.comparison import DIGEST_BYTES, SLICES, differing, digests, page

ListUpdates = Callable[[], Iterable[MemberUpdate]]
Version = Callable[[], int]


class Comparer:
    """The comparisons of one node."""

    def __init__(
        self,
        transport: Transport,
        claims: ListUpdates,
        version: Version,
        learn: Callable[[tuple[MemberUpdate, ...]], None],
        timeout_s: float,
    ) -> None:
        self._transport = transport
        self._claims = claims
        self._version = version
        self._learn = learn
        self._timeout_s = timeout_s
        self._digests = (-1, b"")

    async def compare(self, node_id: bytes) -> bool:
        """Learn the claims in which this peer differs; False if the peer does not answer the
        question."""
        first = 0
        while first < SLICES:
            question = CompareMembers(digests=self._own(), first=first)
            reply = await self._transport.ask(node_id, question, self._timeout_s)
            if not isinstance(reply, MembersAre) or reply.next <= first:
                return False
            self._learn(reply.updates[:COMPARED_UPDATES_MAX])
            first = reply.next
        return True

    def answer(self, question: CompareMembers) -> MembersAre:
        """This node's claims in the slices whose digests differ from the asker's."""
        if len(question.digests) != SLICES * DIGEST_BYTES:
            return MembersAre(updates=(), next=SLICES)
        slices = differing(self._own(), question.digests, question.first)
        updates, following = page(self._claims(), slices) if slices else ((), SLICES)
        return MembersAre(updates=updates, next=following)

    def _own(self) -> bytes:
        if self._digests[0] != self._version():
            self._digests = (self._version(), digests(self._claims()))
        return self._digests[1]
