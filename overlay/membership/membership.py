"""Keeps the links of the farm up and watches over the peers.

In: links that come and go, nodes that others speak of, the bootstrap addresses. Out: the routing
table, and a call to every listener when a member's state changes. Counterpart: `members.py` holds
the rules.

A crash shows at once: the crashed process' kernel closes the link, and the dial that
follows is refused. A frozen or cut-off peer shows after the sum of probe_interval_ms,
probe_timeout_ms and dead_after_ms.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable

from kademlia.node import Node

from overlay.config import Overlay
from overlay.dht.lookup import Lookup
from overlay.dht.protocol import FarmProtocol
from overlay.dht.table import Contact
from overlay.errors import IdentityError, UnavailableError
from overlay.links.messages import Ack, Hello, NodeInfo, Ping, Reply
from overlay.links.network import Transport
from overlay.membership.members import Member, Members, State

log = logging.getLogger(__name__)

REDIAL_S = 0.5
"""Between dials of a dead peer, plus up to as much again by chance."""
REFRESH_S = 5.0
"""Between lookups of this node's own id and of a random one, which find nodes not yet known."""
FORGET_S = 7 * 86_400.0
"""How long a dead peer's address is tried."""

Listener = Callable[[Member], None]
Resolve = Callable[[], Awaitable[list[tuple[str, int]]]]


class Membership:
    """The farm as this node knows it."""

    def __init__(
        self,
        own: NodeInfo,
        settings: Overlay,
        transport: Transport,
        chance: random.Random,
        resolve: Resolve,
    ) -> None:
        self.own = own
        self.members = Members(own.node_id, settings.dead_after_ms / 1000)
        self.dht = FarmProtocol(
            Contact(own),
            settings.bucket_size,
            transport,
            self.heard_of,
            settings.request_timeout_ms / 1000,
        )
        self.epoch = 0
        """Grows whenever the set of nodes that hold records changes."""
        self._settings = settings
        self._transport = transport
        self._chance = chance
        self._resolve = resolve
        self._loop = asyncio.get_running_loop()
        self._listeners: list[Listener] = []
        self._dialling: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._probing: set[bytes] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False
        self._wake = asyncio.Event()
        self._refresh = asyncio.Event()

    def start(self, known: Iterable[NodeInfo]) -> None:
        """Begin to dial, with the peers remembered from before."""
        for info in known:
            self.heard_of(info)
        self._tasks = [
            asyncio.create_task(self._watch(), name="membership"),
            asyncio.create_task(self._keep_finding(), name="refresh"),
        ]

    async def stop(self) -> None:
        """End every task; what the links tell from now on is of no interest."""
        self._stopped = True
        tasks = [*self._tasks, *self._dialling.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def listen(self, listener: Listener) -> None:
        """`listener` is called after a member's state changed."""
        self._listeners.append(listener)

    def alive(self) -> list[NodeInfo]:
        """The nodes that can be used, this one first."""
        return [self.own, *(m.info for m in self.members if m.state is State.ALIVE)]

    def nearest(self, key: bytes, count: int) -> list[NodeInfo]:
        """The nodes nearest to `key` among this one and the table's, nearest first."""
        target = Node(key)
        contacts = [*self.dht.router.find_neighbors(target, k=count), self.dht.source_node]
        contacts.sort(key=target.distance_to)
        return [contact.info for contact in contacts[:count]]

    async def lookup(self, key: bytes, count: int, timeout_s: float) -> list[NodeInfo]:
        """The nodes nearest to `key` in the whole farm: one step when the table holds it."""
        if self.dht.router.complete:
            return self.nearest(key, count)
        target = Node(key)
        start = self.dht.router.find_neighbors(target)
        k, alpha = max(count, self.dht.router.ksize), self._settings.lookup_parallel
        found = await Lookup(self.dht, target, start, k, alpha).find_within(timeout_s)
        contacts = sorted([*found, self.dht.source_node], key=target.distance_to)
        return [contact.info for contact in contacts[:count]]

    # What the links tell.

    def peer_up(self, hello: Hello) -> None:
        """A link to this peer is up."""
        known = self.members.get(hello.node.node_id)
        was_alive = known is not None and known.state is State.ALIVE
        restarted = known is not None and known.incarnation != hello.incarnation
        member = self.members.link_up(hello, self._loop.time())
        self.dht.router.add_contact(Contact(hello.node))
        if not was_alive or restarted:
            log.info("%s (%s:%d) is alive", hello.node.name, hello.node.host, hello.node.port)
            self._changed(member)
            self._refresh.set()

    def peer_down(self, node_id: bytes, reason: str, left: bool) -> None:
        """The last link to this peer broke."""
        member = self.members.link_down(node_id, left, self._loop.time())
        if member is None or self._stopped:
            return
        log.warning("%s is %s: %s", member.info.name, member.state, reason)
        if member.state is State.LEFT:
            self._gone(member)
        else:
            self._changed(member)
            self._dial(member)

    def heard_of(self, info: NodeInfo) -> None:
        """A peer spoke of this node."""
        if self.members.heard_of(info, self._loop.time()):
            self._wake.set()

    # inner workings

    async def _watch(self) -> None:
        interval_s = self._settings.probe_interval_ms / 1000
        while True:
            now_s = self._loop.time()
            for member in self.members:
                if member.state is State.ALIVE:
                    self._probe(member.info.node_id, now_s, interval_s)
            for member in self.members.overdue(now_s):
                self._gone(member)
            for member in self.members.to_dial(now_s):
                self._dial(member)
            self.members.forget(FORGET_S, now_s)
            self._wake.clear()
            try:
                async with asyncio.timeout(interval_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _probe(self, node_id: bytes, now_s: float, interval_s: float) -> None:
        if node_id in self._probing or now_s - self._transport.heard_at_s(node_id) < interval_s:
            return
        self._probing.add(node_id)

        def answered(reply: Reply) -> None:
            self._probing.discard(node_id)
            if not isinstance(reply, Ack) and self._transport.linked(node_id):
                self._transport.drop(node_id, "no answer to a probe")

        timeout_s = self._settings.probe_timeout_ms / 1000
        self._transport.request(node_id, Ping(), answered, timeout_s)

    def _dial(self, member: Member) -> None:
        member.dial_after_s = self._loop.time() + REDIAL_S * (1 + self._chance.random())
        self._start_dial(member.info.host, member.info.port, member.info.node_id)

    def _start_dial(self, host: str, port: int, node_id: bytes | None) -> None:
        address = (host, port)
        if address in self._dialling:
            return
        task = asyncio.create_task(self._dial_once(host, port, node_id))
        self._dialling[address] = task
        task.add_done_callback(lambda _: self._dialling.pop(address, None))

    async def _dial_once(self, host: str, port: int, node_id: bytes | None) -> None:
        timeout_s = self._settings.request_timeout_ms / 1000
        try:
            hello = await self._transport.dial(host, port, timeout_s)
        except (UnavailableError, IdentityError) as error:
            refused = isinstance(error.__cause__, ConnectionRefusedError)
            again_s = REDIAL_S * (1 + self._chance.random())
            if node_id is not None and self.members.dial_failed(
                node_id, refused, self._loop.time(), again_s
            ):
                member = self.members.get(node_id)
                assert member is not None
                self._gone(member)
            log.debug("dial of %s:%d failed: %s", host, port, error)
        else:
            if node_id is not None and hello.node.node_id != node_id:
                again_s = REDIAL_S * (10 + self._chance.random())
                self.members.dial_failed(node_id, True, self._loop.time(), again_s)

    async def _keep_finding(self) -> None:
        """Bootstrap while alone; then look up this node's own id, as Kademlia joins, and others."""
        while True:
            self._refresh.clear()
            if len(self.alive()) == 1:
                for host, port in await self._resolve():
                    if (host, port) != (self.own.host, self.own.port):
                        self._start_dial(host, port, None)
            else:
                for target in (self.dht.source_node, Node(self._chance.randbytes(20))):
                    await self._look_around(target)
            wait_s = REDIAL_S if len(self.alive()) == 1 else REFRESH_S
            try:
                async with asyncio.timeout(wait_s * (0.5 + self._chance.random())):
                    await self._refresh.wait()
            except TimeoutError:
                pass

    async def _look_around(self, target: Node) -> None:
        start = self.dht.router.find_neighbors(target)
        k, alpha = self.dht.router.ksize, self._settings.lookup_parallel
        await Lookup(self.dht, target, start, k, alpha).find_within(REFRESH_S)

    def _gone(self, member: Member) -> None:
        self.dht.router.remove_contact(Contact(member.info))
        log.warning("%s is %s", member.info.name, member.state)
        self._changed(member)

    def _changed(self, member: Member) -> None:
        self.epoch += 1
        for listener in self._listeners:
            listener(member)
