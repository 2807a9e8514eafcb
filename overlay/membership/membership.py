"""Keeps the farm's links up and watches over the peers.

In: links that come and go, nodes that others name, the bootstrap addresses. Out: the routing table,
and a call to every listener when a member comes or goes. Counterparts: `members.py` holds the
rules, `prober.py` probes, `gossip.py` informs other nodes, `comparer.py` finds what gossip missed,
`dialler.py` dials.

The nodes with a link to a crashed peer know of the crash at once: the kernel of the crashed process
closes the link, and the dial that follows is refused. A frozen or cut-off peer is first noticed by
a node whose probe it misses. That node's gossip informs all others, and nodes with a link to the
peer check for themselves.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from heapq import nsmallest

import msgspec
from kademlia.node import Node

from overlay.base import tasks
from overlay.base.limits import CONTACTS_TOLD_MAX, GOSSIP_UPDATES_MAX
from overlay.config.sections import OverlaySection
from overlay.dht.lookup import Lookup
from overlay.dht.protocol import FarmProtocol
from overlay.dht.table import TableContact
from overlay.links.member_claims import (
    INCARNATION_MAX,
    RANK,
    claim_of,
    placed_alike,
    sane,
    sane_node,
)
from overlay.links.member_messages import (
    CompareMembers,
    FindNode,
    Gossip,
    MembersAre,
    MemberUpdate,
    Ping,
    PingFor,
)
from overlay.links.network import Transport
from overlay.links.peer_part import Handlers, PeerPart, calls_back, replies
from overlay.links.peer_protocol import Ack, Hello, PeerReply
from overlay.membership import member_figures
from overlay.membership.comparer import Comparer
from overlay.membership.dialler import Dialler
from overlay.membership.gossip import Gossiper
from overlay.membership.health import LocalHealth, overslept
from overlay.membership.members import LIVING, Member, Members, Patience, Redial, State
from overlay.membership.probe_order import BY_CHANCE, Turns
from overlay.membership.prober import Prober
from overlay.observe.figures import Sample
from overlay.records.node_info import NodeInfo, Traits

log = logging.getLogger(__name__)

REFRESH_S = 5.0
"""Time between comparisons of this node's list of members with a peer's."""
SETTLE_S = 0.1
"""When a member came: time until the next comparison may follow."""
SETTLED_WITHIN_S = 3.0
"""How long a node that starts waits at most until it knows the present members."""
SETTLED_LOOK_S = 0.01
"""How often a starting node checks whether it knows them."""
SORTED_MAX = 64
"""Up to so many nodes, sorting them is faster than selecting the nearest."""
LOOKUP_BREADTH = 8
"""How many of the nearest nodes a lookup asks at least. Some of them may not know the nodes that it
is looking for."""
FORGET_S = 7 * 86_400.0
"""How long a dead peer's address is tried."""
FORGET_EVERY_S = 60.0

Listener = Callable[[Member], None]
Resolve = Callable[[], AsyncIterator[list[tuple[str, int]]]]


class Membership(PeerPart):
    """The farm as this node knows it."""

    FIGURES = member_figures.FIGURES

    def __init__(
        self,
        own: NodeInfo,
        settings: OverlaySection,
        transport: Transport,
        chance: random.Random,
        resolve: Resolve,
        incarnation: int,
        now_ms: Callable[[], int],
        known: Iterable[NodeInfo] = (),
    ) -> None:
        """`known` are the peers remembered from before."""
        self.own = own
        self.incarnation = incarnation
        """This node's incarnation. It is higher than the one in its Hello once it refuted a
        suspicion."""
        patience = Patience(
            min_s=settings.suspicion_min_ms / 1000,
            max_factor=settings.suspicion_max_factor,
            confirmations=settings.suspicion_confirmations,
        )
        redial = Redial(first_s=settings.redial_ms / 1000, longest_s=settings.redial_max_ms / 1000)
        self.members = Members(own.node_id, patience, redial, chance, settings.links_kept)
        self.dht = FarmProtocol(
            TableContact(own),
            settings.bucket_size,
            transport,
            self.heard_of,
            settings.request_timeout_ms / 1000,
        )
        self.epoch = 0
        """Grows whenever the set of nodes that hold records changes."""
        self.lookups = 0
        """The number of lookups so far; `lookup_hops` is the sum of their steps."""
        self.lookup_hops = 0
        self.health = LocalHealth(settings.health_score_max)
        self._settings = settings
        self._transport = transport
        self._chance = chance
        self._resolve = resolve
        self._loop = asyncio.get_running_loop()
        linked = self.members.linked
        self._gossiper = Gossiper(settings, transport, chance, linked, lambda: self.members.living)
        self._comparer = Comparer(
            transport,
            self._claims,
            lambda: self.members.version + self.incarnation,
            self._compared,
            settings.request_timeout_ms / 1000,
        )
        self._now_ms = now_ms
        self._known = tuple(known)
        self._turns = turns = Turns(own.node_id, settings.probe_interval_ms)
        self._prober = Prober(
            settings, transport, chance, turns, self.health, linked, self._answered, self._missed
        )
        self._dialler = Dialler(transport, settings.request_timeout_ms / 1000, self._dial_failed)
        self._listeners: list[Listener] = []
        self._proxy_listeners: list[Callable[[], None]] = []
        self._comparisons: list[Callable[[bytes], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False
        self._alone_once = self._compared_once = False
        """Whether the bootstrap addresses were dialled once, and whether lists were compared
        once."""
        self._wake = asyncio.Event()
        self._refresh = asyncio.Event()

    async def start(self) -> None:
        """Begin to dial, first the peers remembered from before."""
        for info in self._known:
            self.heard_of(info)
        self._transport.keep_by(self, self._settings.link_idle_ms / 1000)
        self._tasks = [
            asyncio.create_task(self._watch(), name="membership"),
            asyncio.create_task(self._keep_finding(), name="refresh"),
        ]

    async def stop(self) -> None:
        """End every task, and ignore what the links report from now on."""
        self._stopped = True
        self._prober.forget()
        self._gossiper.stop()
        await tasks.end(self._tasks)
        await self._dialler.stop()

    def requests(self) -> Handlers:
        return (
            replies(Ping, lambda _, asked: Ack()),
            replies(Gossip, lambda _, asked: self.gossip_received(asked)),
            calls_back(PingFor, lambda _, asked, answer: self.ping_for(asked, answer)),
            replies(CompareMembers, lambda _, asked: self.compare(asked)),
            replies(FindNode, lambda peer, asked: self.dht.answer_find_node(asked.target, peer)),
        )

    def counts(self) -> Iterator[Sample]:
        """The number of other nodes in each state."""
        found = Counter(member.state for member in self.members)
        for state in State:
            yield (state.value,), found[state]

    async def settled(self) -> None:
        """Wait until this node has tried to reach every node that it knows of, or could hear of.

        Before that it may think itself alone, and would answer as a farm of one node.
        """
        until_s = self._loop.time() + SETTLED_WITHIN_S
        while self._loop.time() < until_s:
            looked = self._compared_once or (self._alone_once and len(self.alive()) == 1)
            pending = self._dialler.busy or self.members.to_dial(self._loop.time())
            if looked and not pending:
                return
            await asyncio.sleep(SETTLED_LOOK_S)
        log.warning("serving, though not all nodes that may be there have answered")

    def announce(self, traits: Traits) -> None:
        """Change this node's traits, and tell the farm under a new incarnation."""
        moved = not placed_alike(self.own.traits, traits)
        self.own = msgspec.structs.replace(self.own, traits=traits)
        self.dht.source_node.info = self.own
        self.incarnation = min(self.incarnation + 1, INCARNATION_MAX - 1)
        self.epoch += moved
        self._gossiper.spread(self._of_myself())

    def listen(self, listener: Listener) -> None:
        """Call `listener` after a member came, changed, lost its link, died or left.

        It is not called for a suspicion that is refuted.
        """
        self._listeners.append(listener)

    def listen_to_proxies(self, listener: Callable[[], None]) -> None:
        """Call `listener` when a member's Kamailio is said to have gone or come back, and nothing
        else of the member has changed."""
        self._proxy_listeners.append(listener)

    def compare_as_well(self, compare: Callable[[bytes], None]) -> None:
        """Call `compare` with each peer with which lists of members are compared.

        What `compare` asks leaves in the same packet, so both nodes wake up only once.
        """
        self._comparisons.append(compare)

    def alive(self) -> list[NodeInfo]:
        """The nodes that are alive and not suspect, this one first."""
        return [self.own, *(m.info for m in self.members if m.state is State.ALIVE)]

    def linked(self) -> list[NodeInfo]:
        """The peers with a link."""
        found = (self.members.get(node_id) for node_id in self.members.linked())
        return [member.info for member in found if member is not None]

    def nearest(self, key: bytes, count: int) -> list[NodeInfo]:
        """The nodes nearest to `key` among this node and those in its table, nearest first."""
        contacts = [*self.dht.router.contacts(), self.dht.source_node]
        wanted = int.from_bytes(key, "big")
        ways = [(contact.long_id ^ wanted, contact.info) for contact in contacts]
        # No two nodes have the same distance, so the sort never compares anything else.
        nearest = sorted(ways)[:count] if len(ways) <= SORTED_MAX else nsmallest(count, ways)
        return [info for _, info in nearest]

    async def lookup(self, key: bytes, count: int, timeout_s: float) -> list[NodeInfo]:
        """The nodes nearest to `key` in the whole farm, as other nodes know them."""
        self.lookups += 1
        target = Node(key)
        start = self.dht.router.find_neighbors(target, k=max(count, LOOKUP_BREADTH))
        k, alpha = max(2 * count, LOOKUP_BREADTH), self._settings.lookup_parallel
        looking = Lookup(self.dht, target, start, k, alpha)
        found = await looking.find_within(timeout_s)
        contacts = sorted([*found, self.dht.source_node], key=target.distance_to)[:count]
        hops = max((looking.depth.get(contact.id, 0) for contact in contacts), default=0)
        self.lookup_hops += hops
        return [contact.info for contact in contacts]

    def surely_nearest(self, key: bytes, count: int) -> list[NodeInfo] | None:
        """The same as `nearest`; None if other nodes may know nearer ones that this node's table
        has no room for."""
        nodes = self.nearest(key, count)
        if self.dht.router.complete:
            return nodes
        target = Node(key)
        farthest = target.distance_to(Node(nodes[-1].node_id))
        enough = len(nodes) == count and self.dht.router.certain(target, farthest)
        return nodes if enough else None

    # What the links ask (`overlay.links.on_demand.LinkPolicy`).

    def kept(self, node_id: bytes) -> bool:
        """Whether a link to this peer stays open although nobody uses it."""
        return self.members.kept(node_id)

    def dial(self, node_id: bytes) -> "asyncio.Task[None] | None":
        """Dial for a request that has no link, if the peer is a living member of a farm too large
        for a mesh."""
        member = self.members.get(node_id)
        if self._stopped or self.members.mesh or member is None or member.state not in LIVING:
            return None
        return self._dialler.dial_now(member.info.host, member.info.port, node_id)

    def parted(self, node_id: bytes) -> None:
        """The link to this peer ended by agreement of both ends."""
        self.members.parted(node_id, self._loop.time())

    # What the links tell.

    def peer_up(self, hello: Hello) -> None:
        """A link to this peer is up."""
        known = self.members.get(hello.node.node_id)
        news = known is None or hello.incarnation > known.incarnation
        came = news
        if known is not None:
            # In a mesh, a member is alive when it has a link. In a larger farm, links come and go.
            came = came or known.state not in LIVING or (self.members.mesh and not known.linked)
        member = self.members.link_up(hello, self._loop.time())
        if came:
            log.info("%s (%s:%d) is alive", member.info.name, member.info.host, member.info.port)
            self._back(member)
        else:
            self._reached(member)
        if news:
            self._gossiper.spread(self._update(member))
        self._gossiper.wake()

    def peer_down(self, node_id: bytes, reason: str, left: bool) -> None:
        """The last link to this peer broke."""
        member = self.members.link_down(node_id, left, self._loop.time())
        if member is None or self._stopped:
            return
        if member.state is State.DEAD:
            return
        log.warning("%s is %s: %s", member.info.name, member.state, reason)
        self._gossiper.spread(self._update(member))
        if member.state is State.LEFT:
            self._gone(member)
        elif member.state is State.SUSPECT:
            self._changed(member)
            self._dial(member)
            self._wake.set()

    def heard_of(self, info: NodeInfo) -> None:
        """A peer named this node."""
        if sane_node(info) and self.members.heard_of(info, self._loop.time()):
            self._wake.set()

    def gossip_received(self, gossip: Gossip) -> Ack:
        """Take in the news that a peer passes on."""
        updates = () if self._stopped else gossip.updates[:GOSSIP_UPDATES_MAX]
        for update in updates:
            if not sane(update):
                continue
            if update.node.node_id == self.own.node_id:
                self._refute(update)
            else:
                self._learn(update)
        return Ack()

    def compare(self, question: CompareMembers) -> MembersAre:
        """Answer a peer that compares its list of members with this node's."""
        return self._comparer.answer(question)

    def ping_for(self, question: PingFor, reply: Callable[[PeerReply], None]) -> None:
        """Ping a node on behalf of a peer that has no answer from it."""
        self._prober.help(question.target, reply)

    # inner workings

    def _claims(self) -> list[MemberUpdate]:
        """The claims about all members and about this node; nothing about nodes that were only
        heard of."""
        said = [self._update(member) for member in self.members if member.incarnation]
        return [*said, self._of_myself()]

    def _compared(self, updates: tuple[MemberUpdate, ...]) -> None:
        """Learn the claims in which a peer differs, without gossip: nodes that lack them compare
        lists too."""
        for update in updates:
            if self._stopped or not sane(update):
                continue
            known = self.members.get(update.node.node_id)
            if update.node.node_id == self.own.node_id:
                self._refute(update)
            elif known is None or known.claim != claim_of(update):
                # A peer that passes on a suspicion has not come to it on its own, so this is no
                # confirmation.
                self._learn(update, spread=False)

    def _learn(self, update: MemberUpdate, *, spread: bool = True) -> None:
        now_s, node_id = self._loop.time(), update.node.node_id
        before = self.members.get(node_id)
        was = before.state if before else State.DEAD
        traits = before.info.traits if before else None
        learned = self.members.learn(update, now_s)
        member = self.members.get(node_id)
        if member is None or not learned.news:
            return
        if spread:
            self._gossiper.spread(update)
        if learned.dial or member.state is State.SUSPECT:
            self._wake.set()
        if learned.check:
            # The suspect itself must hear of it first, so that it can refute.
            self._gossiper.tell(node_id, update)
            self._prober.probe(node_id, alone=True)
        if was in LIVING and member.state not in LIVING:
            self._gone(member)
        elif was not in LIVING and member.state in LIVING:
            self._heard_alive(member)
        elif (learned.dial or member.info.traits != traits) and member.state in LIVING:
            self.dht.router.add_contact(TableContact(member.info, proven=member.proven))
            if not placed_alike(member.info.traits, traits):
                self._changed(member)
            elif member.info.traits != traits:
                for turned in self._proxy_listeners:
                    turned()

    def _refute(self, update: MemberUpdate) -> None:
        incarnation, state = claim_of(update)
        if incarnation > self.incarnation or (
            incarnation == self.incarnation and RANK[state] > RANK[State.ALIVE]
        ):
            self.incarnation = min(incarnation + 1, INCARNATION_MAX - 1)
            self.health.worse()
            log.info("this node is said to be %s, and refutes it", state)
        elif state is State.ALIVE:
            return
        self._gossiper.spread(self._of_myself())

    def _of_myself(self) -> MemberUpdate:
        return MemberUpdate(
            node=self.own,
            state=RANK[State.ALIVE],
            incarnation=self.incarnation,
            origin=self.own.node_id,
        )

    def _update(self, member: Member) -> MemberUpdate:
        """The claim about a member, for other nodes."""
        incarnation, state = member.claim
        return MemberUpdate(
            node=member.info,
            state=RANK[state],
            incarnation=incarnation,
            origin=self.own.node_id,
        )

    def _answered(self, node_id: bytes) -> None:
        known = self.members.get(node_id)
        was_dead = known is not None and known.state is State.DEAD
        member = self.members.probe_answered(node_id, self._loop.time())
        if member is not None and was_dead:
            self._back(member)

    def _back(self, member: Member) -> None:
        self._reached(member)
        self._changed(member)
        if self.members.mesh:
            self._refresh.set()

    def _reached(self, member: Member) -> None:
        """The member answered on a link."""
        info = member.info
        self.dht.router.add_contact(TableContact(info))
        if member.claim[1] is not State.ALIVE:
            # The member has to hear what is said about it, so that it can refute it.
            self._gossiper.drop(info.node_id)
            self._gossiper.tell(info.node_id, self._update(member))

    def _heard_alive(self, member: Member) -> None:
        """Other nodes say that the member is alive. In a large farm that is enough."""
        self.dht.router.add_contact(TableContact(member.info, proven=member.proven))
        self._changed(member)

    def _missed(self, node_id: bytes) -> None:
        member = self.members.probe_missed(node_id, self._loop.time())
        if member is not None:
            log.info("%s missed a probe", member.info.name)
            update = self._update(member)
            self._gossiper.tell(node_id, update)
            self._gossiper.spread(update)
        self._wake.set()

    async def _watch(self) -> None:
        """Send probes, dial members and declare suspects dead, each when it is due."""
        interval_s = self._settings.probe_interval_ms / 1000
        slack_s = self._settings.probe_timeout_ms / 1000
        probe_s = self._loop.time() + interval_s * self._chance.random()
        due_s = forget_s = probe_s
        while True:
            now_s = self._loop.time()
            if overslept(due_s, now_s, slack_s):
                log.warning("this node was not running for %.1f s", now_s - due_s)
                self.health.worse(2)
                self.members.postpone(now_s - due_s)
                self._prober.forget()
            if now_s >= probe_s:
                probe_s = now_s + self._take_turn(interval_s)
            if now_s >= forget_s:
                self.members.forget(FORGET_S, now_s)
                forget_s = now_s + FORGET_EVERY_S
            for member in self.members.by_hearsay(now_s):
                self._heard_alive(member)
            for member in self.members.to_dial(now_s):
                self._dial(member)
            for member, news in self.members.overdue(now_s):
                if news:
                    self._gossiper.spread(self._update(member))
                self._gone(member)
            due_s = min(probe_s, self.members.next_deadline_s() or probe_s)
            for node_id in self.members.suspects():
                # The suspect has little time left, and any answer within it ends the suspicion.
                self._prober.probe(node_id, alone=True)
                due_s = min(due_s, now_s + slack_s)
            self._wake.clear()
            try:
                async with asyncio.timeout_at(due_s):
                    await self._wake.wait()
                # News came. Only a look at them tells what is due now.
                due_s = self._loop.time()
            except TimeoutError:
                pass

    def _take_turn(self, interval_s: float) -> float:
        """Probe a member; returns the seconds until the next turn."""
        if not self.members.mesh:
            # Here each node has links to other members than the next one has, so the turns cannot
            # agree.
            self._prober.next(None)
            return BY_CHANCE * interval_s
        now_ms = self._now_ms()
        self._prober.next(self._turns.number(now_ms))
        return self._turns.pause_s(now_ms)

    def _dial(self, member: Member) -> None:
        self._dialler.dial(member.info.host, member.info.port, member.info.node_id)

    def _dial_failed(self, node_id: bytes, refused: bool) -> None:
        member = self.members.dial_failed(node_id, refused, self._loop.time())
        if member is None or self._stopped:
            return
        self._gossiper.spread(self._update(member))
        if member.state is State.DEAD:
            self._gone(member)
        else:
            self._wake.set()

    async def _keep_finding(self) -> None:
        """Dial bootstrap addresses while this node is alone. Later, compare lists with one peer
        after another."""
        while True:
            self._refresh.clear()
            if len(self.alive()) == 1:
                async for addresses in self._resolve():
                    for host, port in addresses:
                        if (host, port) != (self.own.host, self.own.port):
                            self._dialler.dial(host, port, None)
                    self._alone_once = self._alone_once or bool(addresses)
                self._alone_once = True
            else:
                await self._look_around()
                self._compared_once = True
                await asyncio.sleep(SETTLE_S)
            wait_s = self._settings.redial_ms / 1000 if len(self.alive()) == 1 else REFRESH_S
            try:
                async with asyncio.timeout(wait_s * (0.5 + self._chance.random())):
                    await self._refresh.wait()
            except TimeoutError:
                pass

    async def _look_around(self) -> None:
        linked = self.members.linked()
        if not linked:
            return
        peer = self._chance.choice(linked)
        for compare in self._comparisons:
            compare(peer)
        if not await self._comparer.compare(peer):
            # A peer too old to compare lists names the nodes that it knows near an id, as in a
            # Kademlia join.
            target, told = self.dht.source_node, min(self.dht.router.ksize, CONTACTS_TOLD_MAX)
            start = self.dht.router.find_neighbors(target, k=told)
            alpha = self._settings.lookup_parallel
            await Lookup(self.dht, target, start, told, alpha).find_within(REFRESH_S)

    def _gone(self, member: Member) -> None:
        self.dht.router.remove_contact(TableContact(member.info))
        log.warning("%s is %s", member.info.name, member.state)
        self._transport.drop(member.info.node_id, f"taken for {member.state}")
        self._changed(member)

    def _changed(self, member: Member) -> None:
        self.epoch += 1
        for listener in self._listeners:
            listener(member)
