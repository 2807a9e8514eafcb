"""Nodes watch each other, on a network in memory that can be silent."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec
import pytest

from overlay.base.errors import UnavailableError
from overlay.config.sections import OverlaySection
from overlay.daemon.parts import now_ms
from overlay.links.member_claims import RANK
from overlay.links.member_messages import (
    CompareMembers,
    FindNode,
    Gossip,
    MemberUpdate,
    Ping,
    PingFor,
)
from overlay.links.on_demand import LinkPolicy
from overlay.links.peer_protocol import Ack, Failed, Hello, PeerReply, PeerRequest
from overlay.membership import membership
from overlay.membership.members import Member, State
from overlay.membership.membership import Membership
from overlay.membership.suspicion import RESTARTS_WITHIN_S
from overlay.records.node_info import NodeInfo, Traits
from tests.waiting import until

SETTINGS = OverlaySection(
    probe_interval_ms=20, probe_timeout_ms=60, suspicion_min_ms=250, redial_ms=20, redial_max_ms=50
)


class Net:
    """Who is where, and between whom nothing passes."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, Peer] = {}
        self.silent: set[frozenset[bytes]] = set()
        self.asked: list[PeerRequest] = []
        self.datagrams = False
        """Whether what is sent beside the links arrives, cut or not."""
        self.knocks = 0

    def cut(self, one: "Peer", *others: "Peer") -> None:
        self.silent |= {frozenset((one.id, other.id)) for other in others if other is not one}

    def passes(self, one: bytes, other: bytes) -> bool:
        return frozenset((one, other)) not in self.silent


class Peer:
    """A node: its membership, and the transport below it."""

    def __init__(self, net: Net, number: int) -> None:
        self.id = bytes([number]) * 20
        self.net = net
        self.info = NodeInfo(
            node_id=self.id,
            name=f"n{number}",
            host=f"192.0.2.{number}",
            port=1,
            traits=Traits(),
        )
        self.links: set[bytes] = set()
        self.changes: list[tuple[str, State]] = []
        chance = random.Random(number)
        self.membership = Membership(self.info, SETTINGS, self, chance, self.resolve, 1, now_ms)
        self.membership.listen(self.changed)
        net.nodes[self.id] = self

    def changed(self, member: Member) -> None:
        self.changes.append((member.info.name, member.state))

    async def resolve(self) -> AsyncIterator[list[tuple[str, int]]]:
        yield [(peer.info.host, peer.info.port) for peer in self.net.nodes.values()]

    def state(self, other: "Peer") -> State | None:
        member = self.membership.members.get(other.id)
        return member.state if member else None

    # Transport

    def linked(self, node_id: bytes) -> bool:
        return node_id in self.links

    def knock(self, node_id: bytes, answered: Callable[[], None], timeout_s: float) -> None:
        if self.net.datagrams:
            self.net.knocks += 1
            asyncio.get_running_loop().call_soon(answered)

    def heard_at_s(self, node_id: bytes) -> float:
        return 0.0

    def keep_by(self, policy: LinkPolicy, idle_s: float) -> None:
        """A mesh: the policy says so, too."""

    def shut_out(self, node_ids: frozenset[bytes]) -> None:
        raise AssertionError("not asked for here")

    async def dial(self, host: str, port: int, timeout_s: float) -> Hello:
        other = next(peer for peer in self.net.nodes.values() if peer.info.host == host)
        if other is self or not self.net.passes(self.id, other.id):
            await asyncio.sleep(0.01)
            raise UnavailableError("nobody answers")
        for one, two in ((self, other), (other, self)):
            one.links.add(two.id)
            one.membership.peer_up(two.hello())
        return other.hello()

    def hello(self) -> Hello:
        return Hello(version_min=1, version_max=1, farm="f", node=self.info, incarnation=1)

    def drop(self, node_id: bytes, reason: str) -> None:
        for one, two in ((self, self.net.nodes[node_id]), (self.net.nodes[node_id], self)):
            if two.id in one.links:
                one.links.discard(two.id)
                one.membership.peer_down(two.id, reason, left=False)

    def request(
        self,
        node_id: bytes,
        request: PeerRequest,
        answered: Callable[[PeerReply], None],
        timeout_s: float,
    ) -> None:
        self.net.asked.append(request)
        loop = asyncio.get_running_loop()
        if node_id not in self.links:
            answered(Failed(code="unavailable", reason="no link"))
        elif self.net.passes(self.id, node_id):
            loop.call_soon(self.net.nodes[node_id].take, self.info, request, answered)
        else:
            silence = Failed(code="unavailable", reason="no answer in time")
            loop.call_later(timeout_s, answered, silence)

    def take(
        self, sender: NodeInfo, request: PeerRequest, answered: Callable[[PeerReply], None]
    ) -> None:
        if isinstance(request, Ping):
            answered(Ack())
        elif isinstance(request, Gossip):
            self.membership.gossip_received(request)
            answered(Ack())
        elif isinstance(request, PingFor):
            self.membership.ping_for(request, answered)
        elif isinstance(request, CompareMembers):
            answered(self.membership.compare(request))
        elif isinstance(request, FindNode):
            answered(self.membership.dht.answer_find_node(request.target, sender.node_id))

    def ask(
        self, node_id: bytes, request: PeerRequest, timeout_s: float
    ) -> "asyncio.Future[PeerReply]":
        future: asyncio.Future[PeerReply] = asyncio.get_running_loop().create_future()
        self.request(node_id, request, lambda r: future.done() or future.set_result(r), timeout_s)
        return future


def play(count: int, story: Callable[[Net, list[Peer]], Coroutine[Any, Any, None]]) -> None:
    """Run a story on so many nodes that know each other."""

    async def run() -> None:
        net = Net()
        peers = [Peer(net, number) for number in range(1, count + 1)]
        try:
            for peer in peers:
                await peer.membership.start()
            await until(lambda: all(len(p.links) == count - 1 for p in peers), what="joined")
            await story(net, peers)
        finally:
            for peer in peers:
                await peer.membership.stop()

    asyncio.run(run())


def test_all_know_of_a_silent_node_and_it_comes_back() -> None:
    async def story(net: Net, peers: list[Peer]) -> None:
        lost, *rest = peers
        net.cut(lost, *rest)
        await until(lambda: all(p.state(lost) is State.DEAD for p in rest), what="all know")
        for peer in rest:
            assert not [c for c in peer.changes if c[0] != "n1" and c[1] is not State.ALIVE]
        net.silent.clear()
        await until(lambda: all(p.state(lost) is State.ALIVE for p in rest), what="all meet again")
        await until(lambda: lost.membership.incarnation > 1, what="it has refuted its death")
        await until(
            lambda: all(
                (member := p.membership.members.get(lost.id)) is not None
                and member.claim == (lost.membership.incarnation, State.ALIVE)
                for p in rest
            ),
            what="all agree",
        )

    play(5, story)


def test_a_link_that_fails_alone_makes_nobody_dead() -> None:
    async def story(net: Net, peers: list[Peer]) -> None:
        one, two, *_ = peers
        net.cut(one, two)

        def helped() -> int:
            return sum(isinstance(request, PingFor) for request in net.asked)

        await until(lambda: helped() > 20, what="helpers were asked again and again")
        assert (one.state(two), two.state(one)) == (State.ALIVE, State.ALIVE)

    play(4, story)


def test_a_link_that_is_held_up_makes_nobody_dead_even_without_helpers() -> None:
    async def story(net: Net, peers: list[Peer]) -> None:
        one, two = peers
        net.datagrams = True
        net.cut(one, two)
        await until(lambda: net.knocks > 8, what="they ping beside the link again and again")
        assert not [c for p in peers for c in p.changes if c[1] is not State.ALIVE]

    play(2, story)


def test_a_suspect_that_lives_has_time_to_get_a_link_and_not_for_ever() -> None:
    async def story(net: Net, peers: list[Peer]) -> None:
        one, two, *_ = peers
        net.datagrams = True
        net.cut(one, two)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        one.drop(two.id, "held up")
        await until(lambda: one.state(two) is State.DEAD, what="it gives up")
        assert loop.time() - began_s >= RESTARTS_WITHIN_S

    play(2, story)


def test_a_node_refutes_what_is_said_of_it() -> None:
    async def story(net: Net, peers: list[Peer]) -> None:
        one, two, three = peers
        lie = MemberUpdate(node=one.info, state=RANK[State.DEAD], incarnation=1, origin=three.id)
        two.membership.gossip_received(Gossip(updates=(lie,)))
        await until(lambda: one.membership.incarnation == 2, what="it heard of it")
        await until(
            lambda: all(
                (member := p.membership.members.get(one.id)) is not None
                and member.claim == (2, State.ALIVE)
                for p in (two, three)
            ),
            what="all know better",
        )
        assert not [c for p in peers for c in p.changes if c[1] is not State.ALIVE]

    play(3, story)


def test_a_proxy_that_goes_and_comes_is_told_and_changes_nothing_else() -> None:
    async def story(net: Net, peers: list[Peer]) -> None:
        one, *others = peers
        turns: list[str] = []
        for peer in others:
            name = peer.info.name
            peer.membership.listen_to_proxies(lambda name=name: turns.append(name))  # type: ignore[misc]
        before = [(len(peer.changes), peer.membership.epoch) for peer in peers]
        for away in (True, False):
            turns.clear()
            one.membership.announce(Traits(zone="", proxy_away=away))
            await until(lambda: len(turns) == len(others), what="all know")
            for peer in others:
                member = peer.membership.members.get(one.id)
                assert member is not None
                assert member.info.proxy_away is away
        assert [(len(peer.changes), peer.membership.epoch) for peer in peers] == before
        one.membership.announce(Traits(draining=True))
        await until(lambda: all(peer.changes[-1][0] == "n1" for peer in others), what="it moves")

    play(3, story)


def test_a_newcomer_is_known_to_all_through_one() -> None:
    async def story(net: Net, peers: list[Peer]) -> None:
        newcomer = Peer(net, 9)
        await newcomer.dial(peers[0].info.host, 1, 1.0)
        await until(lambda: all(p.state(newcomer) is State.ALIVE for p in peers), what="known")
        await newcomer.membership.stop()

    play(4, story)


def test_forged_gossip_does_no_harm() -> None:
    async def story(net: Net, peers: list[Peer]) -> None:
        one, two = peers
        nobody = NodeInfo(node_id=b"short", name="x" * 9_999, host="", port=-1)
        bad = [
            MemberUpdate(node=nobody, state=0, incarnation=1, origin=two.id),
            MemberUpdate(node=two.info, state=77, incarnation=1, origin=two.id),
            MemberUpdate(node=two.info, state=2, incarnation=sys.maxsize, origin=two.id),
            MemberUpdate(node=one.info, state=2, incarnation=-sys.maxsize, origin=two.id),
        ]
        one.membership.gossip_received(Gossip(updates=tuple(bad * 1_000)))
        assert [m.info for m in one.membership.members] == [two.info]
        assert (one.state(two), one.membership.incarnation) == (State.ALIVE, 1)

    play(2, story)


def test_nodes_that_overslept_blame_themselves(caplog: pytest.LogCaptureFixture) -> None:
    async def story(net: Net, peers: list[Peer]) -> None:
        def pings() -> int:
            return sum(isinstance(request, Ping) for request in net.asked)

        loop, before = asyncio.get_running_loop(), pings()
        real = loop.time
        loop.time = lambda: real() + 10.0  # type: ignore[method-assign]
        await until(lambda: pings() > before + 10, what="they probe again")
        assert "not running for 10.0 s" in caplog.text
        assert not [c for p in peers for c in p.changes if c[1] is not State.ALIVE]

    play(3, story)


def test_who_repeats_a_suspicion_when_lists_are_compared_confirms_nothing() -> None:
    async def story(net: Net, peers: list[Peer]) -> None:
        first, second, third, *_ = peers
        known = first.membership
        member = known.members.get(second.id)
        assert member is not None
        suspected = MemberUpdate(
            node=second.info, state=RANK[State.SUSPECT], incarnation=1, origin=third.id
        )
        # In one turn of the loop: nobody can refute it meanwhile.
        known.gossip_received(Gossip(updates=(suspected,)))
        assert member.suspicion is not None
        repeated = msgspec.structs.replace(suspected, origin=peers[3].id)
        known._compared((repeated,))
        assert member.suspicion.confirmations == 0
        known.gossip_received(Gossip(updates=(repeated,)))
        assert member.suspicion.confirmations == 1

    play(5, story)


def test_a_newcomer_hears_of_everybody_by_one_comparison() -> None:
    async def story(net: Net, peers: list[Peer]) -> None:
        first, last = peers[0], Peer(net, 99)
        reply = first.membership.compare(CompareMembers(digests=last.membership._comparer._own()))
        last.membership._compared(reply.updates)
        heard = {member.info.name for member in last.membership.members}
        assert heard == {peer.info.name for peer in peers}

    play(6, story)


@pytest.mark.parametrize("sorted_max", [0, 64])
def test_the_nearest_are_those_of_the_smallest_distance(
    sorted_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "SORTED_MAX", sorted_max)

    async def story(net: Net, peers: list[Peer]) -> None:
        chance = random.Random(1)
        for key in (*(chance.randbytes(20) for _ in range(50)), peers[1].id):

            def distance(node: NodeInfo, key: bytes = key) -> int:
                return int.from_bytes(node.node_id) ^ int.from_bytes(key)

            wanted = sorted((peer.info for peer in peers), key=distance)
            for count in (1, 3, 9):
                assert peers[0].membership.nearest(key, count) == wanted[:count]

    play(6, story)
