"""Answers what other nodes ask, each kind of request by the part that it concerns.

In: requests from the links. Out: their answers, at once where they can be. Counterpart:
the message modules of `overlay.links` say what each of them is; `node.py` has the parts.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from overlay.base import tasks
from overlay.base.errors import SipfarmError
from overlay.links import farm_messages, member_messages, record_messages
from overlay.links.peer_protocol import Ack, Failed, PeerReply, PeerRequest
from overlay.records import registration
from overlay.records.names import RecordKind

if TYPE_CHECKING:
    from overlay.daemon.node import Node

log = logging.getLogger(__name__)

Answer = Callable[[PeerReply], None]


class PeerRequests:
    """The requests of all peers to one node."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._count = node.metrics.peer_requests.inc
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_once: dict[type[Any], Callable[[bytes, Any, Answer], None]] = {
            record_messages.Store: node.replica.store,
            record_messages.StoreMany: node.replica.store_many,
            record_messages.Fetch: node.replica.fetch,
            member_messages.Ping: lambda peer, request, reply: reply(Ack()),
            member_messages.Gossip: self._gossip,
            member_messages.PingFor: lambda peer, request, reply: node.membership.ping_for(
                request, reply
            ),
            member_messages.CompareMembers: lambda peer, request, reply: reply(
                node.membership.compare(request)
            ),
            farm_messages.Lockout: self._lockout,
            record_messages.ClaimAt: lambda peer, request, reply: node.claims.claimed(
                request, reply
            ),
            record_messages.ReleaseAt: lambda peer, request, reply: reply(
                node.claims.released(request)
            ),
            record_messages.ShareClaims: lambda peer, request, reply: reply(
                node.claims.shared(request)
            ),
            farm_messages.AskLease: lambda peer, request, reply: reply(
                node.lease.asked(peer, request)
            ),
            farm_messages.EndLease: lambda peer, request, reply: reply(node.lease.ended(peer)),
            farm_messages.LeaseKept: lambda peer, request, reply: reply(node.lease.kept()),
            member_messages.FindNode: self._find_node,
            record_messages.Changed: self._pushed,
            farm_messages.AskRevocations: lambda peer, request, reply: reply(
                node.revoker.answer(request)
            ),
            farm_messages.RevocationsChanged: lambda peer, request, reply: reply(
                node.revoker.announced(peer, request)
            ),
            farm_messages.AskSettings: lambda peer, request, reply: reply(
                node.settings.answer(request)
            ),
            farm_messages.SettingsChanged: lambda peer, request, reply: reply(
                node.settings.announced(peer, request)
            ),
            record_messages.RegisterAt: lambda peer, request, reply: node.registrations.register_at(
                request, reply
            ),
        }
        self._later: dict[type[Any], Callable[[Any], Awaitable[PeerReply]]] = {
            record_messages.Offer: node.replica.offered,
            record_messages.ListCallsAt: node.local.list_calls,
            record_messages.ListSubscribersAt: self._list_subscribers,
            record_messages.AskCalls: node.claims.heard,
            farm_messages.DescribeNode: lambda request: node.local.described(),
        }

    def answer(self, peer: bytes, request: PeerRequest, reply: Answer) -> None:
        """Answer a peer; what can be answered at once is."""
        kind = type(request)
        self._count(kind.__name__)
        handler = self._at_once.get(kind)
        if handler is None:
            self._as_task(request, reply)
            return
        try:
            handler(peer, request, reply)
        except (msgspec.MsgspecError, ValueError) as error:
            reply(Failed(code="bad-request", reason=str(error)))

    async def stop(self) -> None:
        """End what is still being answered."""
        await tasks.end(self._tasks)

    # inner workings

    def _gossip(self, peer: bytes, request: member_messages.Gossip, reply: Answer) -> None:
        self._node.membership.gossip_received(request)
        reply(Ack())

    def _lockout(self, peer: bytes, request: farm_messages.Lockout, reply: Answer) -> None:
        self._node.lockouts.learn((request.aor, request.address), request.seconds)
        reply(Ack())

    def _find_node(self, peer: bytes, request: member_messages.FindNode, reply: Answer) -> None:
        reply(self._node.membership.dht.answer_find_node(request.target, peer))

    def _pushed(self, peer: bytes, push: record_messages.Changed, reply: Answer) -> None:
        if push.kind == RecordKind.SUBSCRIBER:
            reply(self._node.directory.pushed(push))
            return
        shown = self._node.hot.changed(push.key, registration.decode(push.body))
        if shown is None:
            reply(Ack())
        else:
            shown.add_done_callback(lambda _: reply(Ack()))

    async def _list_subscribers(self, request: record_messages.ListSubscribersAt) -> PeerReply:
        return self._node.local.list_subscribers(request)

    def _as_task(self, request: PeerRequest, reply: Answer) -> None:
        async def run() -> None:
            try:
                reply(await self._slowly(request))
            except SipfarmError as error:
                reply(Failed(code="storage", reason=str(error)))
            except Exception:
                log.exception("a peer's %s failed", type(request).__name__)
                reply(Failed(code="internal", reason="see the log"))

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _slowly(self, request: PeerRequest) -> PeerReply:
        handler = self._later.get(type(request))
        if handler is None:
            name = type(request).__name__
            return Failed(code="bad-request", reason=f"{name} is not known here")
        return await handler(request)
