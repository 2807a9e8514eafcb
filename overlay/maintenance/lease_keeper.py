"""Takes the maintenance lease from the other nodes, renews it, gives it back, and grants theirs.

In: this node's wish to drain, and requests of peers. Out: the lease, or the node that has it.
Counterparts: `lease.py` has the rules; the same module on every other node; `maintenance.py` wants
the lease.

A node that drains and is then stopped keeps its lease. The lease lapses after `HELD_S`, or ends
when the node is back in service. When the node comes back, its peers tell it that they still keep
the lease for it (`LeaseKept`). It gives the lease back when it is ready. Peers whose version has no
lease are not asked. Gossip tells if they drain.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from overlay.base import tasks
from overlay.links.farm_messages import AskLease, EndLease, LeaseIs, LeaseKept
from overlay.links.member_claims import State
from overlay.links.network import Transport
from overlay.links.peer_part import Handlers, PeerPart, replies
from overlay.links.peer_protocol import Ack, Failed, Hello, PeerReply
from overlay.maintenance.lease import RENEWED_EVERY_S, Grant, LeaseBook
from overlay.maintenance.verdict import Reason, seconds
from overlay.membership.member import LIVING, Member
from overlay.membership.membership import Membership
from overlay.records.node_info import NodeInfo

log = logging.getLogger(__name__)

TELL_TIMEOUT_S = 2.0
READY_LOOK_S = 0.2
"""Pause between two checks whether a node that came back is in service."""


class LeaseKeeper(PeerPart):
    """One node's share in the farm's maintenance lease."""

    def __init__(
        self,
        membership: Membership,
        transport: Transport,
        unready: Callable[[], Awaitable[tuple[str, ...]]],
    ) -> None:
        """`unready` returns all reasons why this node is not ready; none if it is ready."""
        self._own = membership.own
        self._membership = membership
        self._transport = transport
        self._unready = unready
        self._loop = asyncio.get_running_loop()
        self._renewing: asyncio.Task[None] | None = None
        self._returning: asyncio.Task[None] | None = None
        self._book = LeaseBook(self._own.node_id, self._own.name)

    async def take(self, timeout_s: float, *, forced: bool) -> tuple[Reason, ...]:
        """Take the lease, with `forced` even from its holder; the reasons if this node does not get
        it."""
        other = self._book.begin(self._now_s(), forced=forced)
        if other is not None:
            return (self._held_by(other.name, other.held, self._now_s() - other.since_s),)
        if not forced:
            reasons = await self._ask_all(timeout_s)
            if not reasons and not self._book.won(self._now_s()):
                other = self._book.current(self._now_s())
                reasons = (self._held_by(other.name if other else "", False, 0.0),)
            if reasons:
                self._give_back()
                return reasons
        self._renewing = asyncio.create_task(self._keep_renewing(forced), name="lease")
        return ()

    async def give_back(self) -> None:
        """Give the lease back, so that others may drain."""
        await tasks.end([self._renewing])
        self._renewing = None
        self._give_back()

    async def stop(self) -> None:
        """End the tasks. The peers keep the lease until it lapses."""
        await tasks.end([self._renewing, self._returning])

    def requests(self) -> Handlers:
        return (
            replies(AskLease, self.asked),
            replies(EndLease, lambda peer, _: self.ended(peer)),
            replies(LeaseKept, lambda peer, _: self.kept()),
        )

    def told(self) -> tuple[str, float]:
        """Name of the node that has the lease, and the seconds since it got it; an empty name if
        none has it."""
        grant = self._book.current(self._now_s())
        if grant is None or not grant.held:
            return "", 0.0
        return grant.name, round(self._now_s() - grant.since_s, 1)

    # What the peers ask.

    def asked(self, peer: bytes, request: AskLease) -> PeerReply:
        """Answer a peer that asks for the lease, or that has it and renews it."""
        now_s = self._now_s()
        refused: Grant | None = self._book.asked(
            peer,
            self._name(peer),
            now_s,
            held=request.held,
            forced=request.forced,
            since_s=now_s - request.age_ms / 1000,
        )
        if refused is None:
            return LeaseIs(granted=True)
        age_ms = int((now_s - refused.since_s) * 1000)
        return LeaseIs(granted=False, name=refused.name, held=refused.held, age_ms=age_ms)

    def ended(self, peer: bytes) -> PeerReply:
        """Note that a peer no longer has the lease."""
        self._book.ended(peer)
        return Ack()

    def kept(self) -> PeerReply:
        """A peer keeps a lease for this node. If it is from the last run, it is given back when
        ready."""
        if not self._book.mine(self._now_s()) and (
            self._returning is None or self._returning.done()
        ):
            self._returning = asyncio.create_task(self._return_when_ready(), name="lease-back")
        return Ack()

    # What membership reports.

    def peer_up(self, hello: Hello) -> None:
        """Tell this peer that its lease is kept: its link is up, and it may have been restarted."""
        grant = self._book.current(self._now_s())
        if grant is not None and grant.holder == hello.node.node_id:
            self._transport.request(grant.holder, LeaseKept(), _heard, TELL_TIMEOUT_S)

    def member_changed(self, member: Member) -> None:
        """Forget the lease of a member that left, as it will not come back."""
        if member.state is State.LEFT:
            self._book.ended(member.info.node_id)

    # inner workings

    def _now_s(self) -> float:
        return self._loop.time()

    def _name(self, node_id: bytes) -> str:
        member = self._membership.members.get(node_id)
        return member.info.name if member is not None else node_id.hex()

    def _others(self) -> list[NodeInfo]:
        return [m.info for m in self._membership.members if m.state in LIVING]

    async def _ask_all(self, timeout_s: float) -> tuple[Reason, ...]:
        others = self._others()
        asked = (self._transport.ask(o.node_id, AskLease(), timeout_s) for o in others)
        reasons = []
        for other, reply in zip(others, await asyncio.gather(*asked), strict=True):
            if isinstance(reply, LeaseIs):
                if not reply.granted:
                    reasons.append(self._held_by(reply.name, reply.held, reply.age_ms / 1000))
            elif not isinstance(reply, Failed) or reply.code != "unknown-kind":
                reasons.append(Reason(text=f"{other.name} does not answer", passing=True))
        return tuple(dict.fromkeys(reasons))

    def _held_by(self, name: str, held: bool, age_s: float) -> Reason:
        """The reason that another node has the lease.

        It may pass: that node may have been restarted and be about to give the lease back, or it
        may fail to get it.
        """
        if not name:
            return Reason(text="another node asked for the maintenance lease", passing=True)
        if not held:
            return Reason(text=f"{name} asks for the maintenance lease", passing=True)
        return Reason(text=f"{name} has the maintenance lease{seconds(age_s)}", passing=True)

    def _give_back(self) -> None:
        self._book.ended(self._own.node_id)
        for other in self._others():
            self._transport.request(other.node_id, EndLease(), _heard, TELL_TIMEOUT_S)

    async def _keep_renewing(self, forced: bool) -> None:
        began_s, overtaken = self._now_s(), False
        while True:
            age_ms = int((self._now_s() - began_s) * 1000)
            renewal = AskLease(held=True, forced=forced, age_ms=age_ms)
            asked = (
                self._transport.ask(other.node_id, renewal, TELL_TIMEOUT_S)
                for other in self._others()
            )
            for reply in await asyncio.gather(*asked):
                if isinstance(reply, LeaseIs) and not reply.granted and not overtaken:
                    overtaken = True
                    log.warning("%s has the maintenance lease, too", reply.name)
            forced = False
            await asyncio.sleep(RENEWED_EVERY_S)

    async def _return_when_ready(self) -> None:
        ready = False
        while not ready:
            await asyncio.sleep(READY_LOOK_S)
            ready = not await self._unready()
        if not self._book.mine(self._now_s()):
            log.info("back in service: the maintenance lease of the last run is given back")
            self._give_back()


def _heard(_: PeerReply) -> None:
    """Ignore the reply. A peer that did not get the message gets it when its link comes up, or
    forgets the lease in time."""
