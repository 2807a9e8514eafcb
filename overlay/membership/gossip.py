"""Passes on news of members, to a few peers at a time, until enough peers have them.

In: updates. Out: `Gossip` frames. Counterpart: `Membership.gossip_received` on every other node.

News leave at the end of the turn of the loop that brought them. They leave again every
gossip_interval_ms until they were told often enough. While nothing happens, nothing is sent.
"""

import asyncio
import random
from collections.abc import Callable

from overlay.base.limits import GOSSIP_QUEUE_MAX, GOSSIP_UPDATES_MAX
from overlay.config.sections import OverlaySection
from overlay.links.member_messages import Gossip, MemberUpdate
from overlay.links.network import Transport
from overlay.links.peer_protocol import PeerReply
from overlay.membership.gossip_queue import GossipQueue, times_told
from overlay.membership.probe_order import ProbeOrder


class Gossiper:
    """The gossip of one node."""

    def __init__(
        self,
        settings: OverlaySection,
        transport: Transport,
        chance: random.Random,
        linked: Callable[[], list[bytes]],
        nodes: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._linked = linked
        self._nodes = nodes
        self._order = ProbeOrder(chance)
        self._queue = GossipQueue(GOSSIP_QUEUE_MAX)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None

    def spread(self, update: MemberUpdate) -> None:
        """Pass this update on to the farm."""
        self._queue.add(update)
        self.wake()

    def wake(self) -> None:
        """Go on sending: there is a new peer, or a new update."""
        if self._timer is None and len(self._queue):
            self._timer = self._loop.call_soon(self._tell_some)

    def tell(self, node_id: bytes, update: MemberUpdate) -> None:
        """Send this update to one peer at once."""
        self._send(node_id, (update,))

    def drop(self, subject: bytes) -> None:
        """Drop the updates about this member: they no longer hold."""
        self._queue.drop(subject)

    def stop(self) -> None:
        """Stop sending."""
        if self._timer is not None:
            self._timer.cancel()

    def _tell_some(self) -> None:
        peers = self._linked()
        times = times_told(self._settings.gossip_multiplier, max(len(peers), self._nodes() - 1))
        for node_id in self._order.several(peers, self._settings.gossip_fanout):
            updates = self._queue.take(GOSSIP_UPDATES_MAX, times)
            if updates:
                self._send(node_id, updates)
        self._timer = None
        if peers and len(self._queue):
            interval_s = self._settings.gossip_interval_ms / 1000
            self._timer = self._loop.call_later(interval_s, self._tell_some)

    def _send(self, node_id: bytes, updates: tuple[MemberUpdate, ...]) -> None:
        timeout_s = self._settings.request_timeout_ms / 1000
        self._transport.request(node_id, Gossip(updates=updates), _heard, timeout_s)


def _heard(_: PeerReply) -> None:
    """Ignore the reply: if this peer did not get the update, others tell it too."""
