"""Takes one node at a time out of service, and tells whether a node may be stopped.

In: the operator's wishes, through any node's control socket. Out: a node that drains, or the
reasons against it. Counterparts: `verdict.py` decides; `lease_keeper.py` prevents other nodes from
beginning meanwhile; `overlay.replication.drain` hands the records over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from overlay.base.errors import UnavailableError
from overlay.maintenance import verdict
from overlay.maintenance.lease_keeper import LeaseKeeper
from overlay.maintenance.verdict import Reason
from overlay.records.draining import DrainPhase, DrainState
from overlay.records.node_status import NodeStatus
from overlay.records.refusal import Refusal
from overlay.replication.drain import Drainer

LOOK_AGAIN_S = 0.1
"""Pause between two attempts, if the reasons against draining may soon be over."""
AGAIN_SHARE = 0.4
"""Share of the asker's time in which attempts are repeated."""


class Maintenance:
    """The maintenance of one node, and its view of the other nodes' maintenance."""

    def __init__(
        self,
        own_name: str,
        write_quorum: int,
        drain: Drainer,
        lease: LeaseKeeper,
        look: Callable[[float], Awaitable[Sequence[NodeStatus]]],
        revoked: Callable[[], Collection[bytes]],
    ) -> None:
        self._own_name = own_name
        self._write_quorum = write_quorum
        self._drain = drain
        self._lease = lease
        self._look = look
        self._revoked = revoked
        self._turn = asyncio.Lock()

    async def begin(self, deadline_s: float, *, forced: bool) -> DrainState:
        """Begin to drain, unless that is under way; raises `UnavailableError` with the reasons
        against it.

        `forced`: drain whatever the other nodes do, even if records then have fewer than W
        replicas.
        """
        async with self._turn:
            if self._drain.phase is not DrainPhase.SERVING:
                return self._drain.state()
            reasons = await self._take(deadline_s, forced=forced)
            if reasons:
                why = "; ".join(reason.text for reason in reasons)
                raise UnavailableError(f"not drained, one node at a time: {why} (or use --force)")
            return self._drain.begin()

    async def end(self) -> DrainState:
        """Put the node back into service, and let others drain."""
        async with self._turn:
            if self._drain.phase is not DrainPhase.SERVING:
                await self._drain.end()
                await self._lease.give_back()
            return self._drain.state()

    async def ok_to_stop(self, name: str, deadline_s: float) -> tuple[str, ...] | Refusal:
        """The reasons against stopping a node now, without any effect; empty if it may be
        stopped."""
        nodes = await self._nodes(deadline_s / 2)
        if not any(node.name == name for node in nodes):
            return Refusal(code="not-found", reason=f"there is no node {name!r} in the farm")
        reasons = verdict.against_stopping(nodes, name, self._write_quorum)
        return tuple(reason.text for reason in reasons)

    # inner workings

    async def _nodes(self, timeout_s: float) -> tuple[NodeStatus, ...]:
        return verdict.present(await self._look(timeout_s), self._revoked())

    async def _take(self, deadline_s: float, *, forced: bool) -> tuple[Reason, ...]:
        """Look at the farm and take the lease. If all reasons against it may pass, try again for a
        while."""
        loop = asyncio.get_running_loop()
        each_s = deadline_s / 5
        until_s = loop.time() + deadline_s * AGAIN_SHARE
        while True:
            reasons: tuple[Reason, ...] = ()
            if not forced:
                nodes = await self._nodes(each_s)
                reasons = verdict.against_draining(nodes, self._own_name, self._write_quorum)
            if not reasons:
                reasons = await self._lease.take(each_s, forced=forced)
            late = loop.time() > until_s
            if not reasons or late or not all(reason.passing for reason in reasons):
                return reasons
            await asyncio.sleep(LOOK_AGAIN_S)
