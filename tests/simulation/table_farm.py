"""Simulates routing tables, lookups and their answers, and nothing else, for up to 10,000 nodes.

In: the number of nodes, a seed, settings. Out: nodes (`Membership`) that can look keys up.
Counterpart: `partial_tables.py`, which asks them and counts.

Real are the routing tables, the lookup and its order, a node's answers, its choice of links to
keep, and the encoding of every frame. Links, gossip and probes are replaced: every node knows every
other (or as many as it may); it has had a link to each node whose link it keeps, and to each that
it asked. A frame takes half a millisecond. A node is made when it is first asked, in the state that
it would have then: 10,000 nodes made in advance would hold 10^8 contacts.
"""

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from typing import cast

from overlay.base.errors import UnavailableError
from overlay.base.limits import FRAME_HEADER_BYTES
from overlay.config.sections import OverlaySection
from overlay.dht.table import TableContact
from overlay.links.member_messages import FindNode
from overlay.links.network import Transport
from overlay.links.peer_codec import decode, encode
from overlay.links.peer_protocol import PROTOCOL_VERSION, Failed, Hello, PeerReply
from overlay.membership.kept_links import choose
from overlay.membership.membership import Membership
from overlay.records.node_info import NodeInfo, Traits
from tests.simulation.clock import VirtualLoop

FRAME_S = 0.0005
"""From one node to another."""
DIAL_FRAMES = 6
"""TCP and TLS 1.3 take a round trip each, the two Hellos another."""
NODES_KEPT = 400
"""Nodes in memory at a time."""
ORDERS = 16
"""In which nodes have heard of all others."""


class TableFarm:
    """All nodes, and the wire between them."""

    def __init__(
        self, count: int, seed: int, settings: OverlaySection, known_max: int, loop: VirtualLoop
    ) -> None:
        self.seed, self.settings, self.known_max, self.loop = seed, settings, known_max, loop
        self.chance = random.Random(seed)
        traits = Traits(transports=("tls", "wss"))
        self.infos = [
            NodeInfo(
                node_id=self.chance.randbytes(20),
                name=f"n{number}",
                host=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
                port=settings.port,
                traits=traits,
            )
            for number in range(count)
        ]
        self.by_host = {info.host: info for info in self.infos}
        self.proven = {info.node_id: TableContact(info) for info in self.infos}
        self.hearsay = {info.node_id: TableContact(info, proven=False) for info in self.infos}
        """Contacts never change, so all tables have the same."""
        self._orders = [self.chance.sample(self.infos, count) for _ in range(ORDERS)]
        self.met: dict[bytes, set[bytes]] = {info.node_id: set() for info in self.infos}
        """By node, those that a lookup linked it to."""
        self.refusing: set[bytes] = set()
        """Nodes whose daemon crashed: a dial is refused."""
        self.silent: set[bytes] = set()
        """Nodes whose host crashed: a dial has no answer."""
        self.noticed = False
        self.questions = self.dials = self.bytes = 0
        self.building_s = 0.0
        """CPU time that went into making nodes, which is no part of a lookup."""
        self._nodes: OrderedDict[bytes, Membership] = OrderedDict()
        self._links: dict[bytes, set[bytes]] = {}

    @property
    def dead(self) -> set[bytes]:
        """All that crashed."""
        return self.refusing | self.silent

    def living(self) -> list[NodeInfo]:
        """The others."""
        dead = self.dead
        return [info for info in self.infos if info.node_id not in dead]

    def crash_a_third(self) -> None:
        """Half of them with their hosts."""
        dead = self.chance.sample(self.infos, len(self.infos) // 3)
        for info in dead:
            (self.silent if self.chance.random() < 0.5 else self.refusing).add(info.node_id)
        self.forget_nodes()

    def forget_nodes(self) -> None:
        """Make all anew: what they know has changed."""
        self._nodes.clear()
        self._links.clear()

    def node(self, info: NodeInfo) -> Membership:
        """A node, made if it is not in memory."""
        made = self._nodes.get(info.node_id)
        if made is None:
            began_s = time.process_time()
            made = self._nodes[info.node_id] = self._made(info)
            self.building_s += time.process_time() - began_s
            if len(self._nodes) > NODES_KEPT:
                gone, _ = self._nodes.popitem(last=False)
                self._links.pop(gone, None)
        self._nodes.move_to_end(info.node_id)
        return made

    def others_of(self, info: NodeInfo) -> list[NodeInfo]:
        """Those that a node knows, in the order in which it heard of them."""
        order = self._orders[info.node_id[-1] % ORDERS]
        return [each for each in order if each is not info][: self.known_max]

    def linked(self, asker: NodeInfo, node_id: bytes) -> bool:
        """Whether the two have a link; one to a crashed daemon is broken by its kernel."""
        has = node_id in self._links[asker.node_id] or node_id in self.met[asker.node_id]
        return has and node_id not in self.refusing

    def meet(self, one: NodeInfo, other: NodeInfo) -> None:
        """A link has come up: each has proof of the other."""
        for mine, its in ((one, other), (other, one)):
            self.met[mine.node_id].add(its.node_id)
            if mine.node_id in self._nodes:
                router = self._nodes[mine.node_id].dht.router
                router.add_contact(self.proven[its.node_id])

    def _made(self, info: NodeInfo) -> Membership:
        membership = Membership(
            info,
            self.settings,
            cast(Transport, _Wire(self, info)),
            self.chance,
            _nowhere,
            1,
            lambda: 0,
        )
        others = self.others_of(info)
        dead = self.dead
        links = self._kept(info, others)
        if dead and self.noticed:
            links |= self._kept(info, [each for each in others if each.node_id not in dead])
        self._links[info.node_id] = links
        proven = links | self.met[info.node_id]
        router = membership.dht.router
        for each in others:
            known = self.proven if each.node_id in proven else self.hearsay
            router.add_contact(known[each.node_id])
        # A link to a daemon that crashed breaks at once, and the dial that follows is refused.
        gone = dead if self.noticed else proven & self.refusing
        for node_id in [each.node_id for each in others if each.node_id in gone]:
            router.remove_contact(self.proven[node_id])
        return membership

    def _kept(self, info: NodeInfo, others: Iterable[NodeInfo]) -> set[bytes]:
        numbers = (self.proven[each.node_id].long_id for each in others)
        own: int = self.proven[info.node_id].long_id
        return {each.to_bytes(20) for each in choose(own, numbers, self.settings.links_kept)}


class _Wire:
    """The part of `Transport` that lookups use, at one node."""

    def __init__(self, farm: TableFarm, own: NodeInfo) -> None:
        self._farm = farm
        self._own = own

    def linked(self, node_id: bytes) -> bool:
        return self._farm.linked(self._own, node_id)

    async def dial(self, host: str, port: int, timeout_s: float) -> Hello:
        farm, other = self._farm, self._farm.by_host[host]
        farm.dials += 1
        if other.node_id in farm.silent:
            await asyncio.sleep(timeout_s)
            raise UnavailableError("no answer")
        if other.node_id in farm.refusing:
            await asyncio.sleep(2 * FRAME_S)
            raise UnavailableError("refused")
        await asyncio.sleep(DIAL_FRAMES * FRAME_S)
        farm.meet(self._own, other)
        return Hello(
            version_min=PROTOCOL_VERSION,
            version_max=PROTOCOL_VERSION,
            farm="farm.test",
            node=other,
            incarnation=1,
        )

    def ask(
        self, node_id: bytes, request: FindNode, timeout_s: float
    ) -> "asyncio.Future[PeerReply]":
        return asyncio.ensure_future(self._asked(node_id, request, timeout_s))

    async def _asked(self, node_id: bytes, request: FindNode, timeout_s: float) -> PeerReply:
        farm = self._farm
        farm.questions += 1
        farm.bytes += FRAME_HEADER_BYTES + len(encode(request))
        if node_id in farm.silent:
            await asyncio.sleep(timeout_s)
            return Failed(code="unavailable", reason="no answer")
        await asyncio.sleep(FRAME_S)
        node = farm.node(farm.proven[node_id].info)
        answer = encode(node.dht.answer_find_node(request.target, self._own.node_id))
        farm.bytes += FRAME_HEADER_BYTES + len(answer)
        await asyncio.sleep(FRAME_S)
        return cast(PeerReply, decode(answer))


async def _nowhere() -> AsyncIterator[list[tuple[str, int]]]:
    """There is nothing to begin with: all are known."""
    yield []
