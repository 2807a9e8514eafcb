"""Links open for requests, and close by agreement when nothing uses them."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from overlay.base.errors import SipfarmError
from overlay.links.farm_messages import EndLease
from overlay.links.member_messages import Ping
from overlay.links.network import Network
from overlay.links.peer_protocol import Ack, Failed, PeerReply
from overlay.records.node_info import NodeInfo
from tests.daemons.farm_of_nodes import Farm, play
from tests.daemons.links.test_network import Recorder, make
from tests.waiting import until

IDLE_S = 0.2


class Few:
    """A policy: who is kept, and where the others are."""

    def __init__(self, network: Network, *known: NodeInfo) -> None:
        self.network = network
        self.known = {info.node_id: info for info in known}
        self.keeps: set[bytes] = set()
        self.parts: list[bytes] = []
        self.dials = 0
        self.under_way: asyncio.Task[None] | None = None

    def kept(self, node_id: bytes) -> bool:
        return node_id in self.keeps

    def dial(self, node_id: bytes) -> "asyncio.Task[None] | None":
        info = self.known.get(node_id)
        if info is None:
            return None
        if self.under_way is None or self.under_way.done():
            self.dials += 1
            self.under_way = asyncio.create_task(self._dial(info))
        return self.under_way

    def parted(self, node_id: bytes) -> None:
        self.parts.append(node_id)

    async def _dial(self, info: NodeInfo) -> None:
        with contextlib.suppress(SipfarmError):
            await self.network.dial(info.host, info.port, 0.5)


class End:
    """One node of two."""

    def __init__(self, farm: Farm, name: str) -> None:
        self.network, self.info = make(farm, name)
        self.handler = Recorder()
        self.policy = Few(self.network)

    async def start(self, other: "End") -> None:
        await self.network.start(self.handler, self.info.host, self.info.port)
        self.policy.known[other.info.node_id] = other.info
        self.network.keep_by(self.policy, IDLE_S)

    async def ask(self, other: "End") -> PeerReply:
        return await self.network.ask(other.info.node_id, EndLease(), 2.0)


Story = Callable[[End, End], Coroutine[Any, Any, None]]


def with_two(tmp_path: Path, story: Story) -> None:
    async def run(farm: Farm) -> None:
        one, two = End(farm, "n1"), End(farm, "n2")
        await one.start(two)
        await two.start(one)
        try:
            async with asyncio.timeout(30):
                await story(one, two)
        finally:
            await one.network.stop(left=False)
            await two.network.stop(left=False)

    play(tmp_path, run)


def test_requests_open_one_link_and_its_end_is_no_crash(tmp_path: Path) -> None:
    async def story(one: End, two: End) -> None:
        answers = await asyncio.gather(*(one.ask(two) for _ in range(5)))
        assert all(isinstance(answer, Ack) for answer in answers)
        assert one.policy.dials == 1
        await until(lambda: bool(one.policy.parts and two.policy.parts), what="they part")
        assert one.policy.parts == [two.info.node_id]
        assert two.policy.parts == [one.info.node_id]
        assert not one.network.linked(two.info.node_id)
        assert not two.network.linked(one.info.node_id)
        # Told as parted before it is told as down.
        assert [left for _, left in [*one.handler.down, *two.handler.down]] == [False, False]
        assert isinstance(await two.ask(one), Ack)

    with_two(tmp_path, story)


def test_upkeep_keeps_no_link_but_requests_do(tmp_path: Path) -> None:
    async def story(one: End, two: End) -> None:
        assert isinstance(await one.ask(two), Ack)
        asked = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < asked + 3 * IDLE_S:
            assert isinstance(await one.ask(two), Ack)
            await asyncio.sleep(IDLE_S / 10)
        assert one.network.linked(two.info.node_id)
        assert not one.policy.parts

        def pinged_until_parted() -> bool:
            one.network.request(two.info.node_id, Ping(), lambda _: None, 1.0)
            return bool(one.policy.parts)

        await until(pinged_until_parted, what="they part in spite of pings")

    with_two(tmp_path, story)


def test_a_link_stays_while_either_end_wants_it(tmp_path: Path) -> None:
    async def story(one: End, two: End) -> None:
        two.policy.keeps.add(one.info.node_id)
        assert isinstance(await one.ask(two), Ack)
        refused: list[PeerReply] = []
        answer = two.network._asked_to_part

        def seen(link: Any) -> PeerReply:
            refused.append(answer(link))
            return refused[-1]

        two.network._asked_to_part = seen  # type: ignore[method-assign]
        await until(lambda: bool(refused), what="n1 asks to part")
        assert isinstance(refused[0], Failed)
        assert one.network.linked(two.info.node_id)
        two.policy.keeps.clear()
        await until(lambda: bool(one.policy.parts), what="they part now")

    with_two(tmp_path, story)


def test_a_request_to_nobody_fails_when_its_dial_does_or_its_time_is_up(tmp_path: Path) -> None:
    async def story(one: End, two: End) -> None:
        await two.network.stop(left=False)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert isinstance(await one.ask(two), Failed)
        assert loop.time() - began < 1.0
        one.policy.known.clear()
        assert isinstance(await one.ask(two), Failed)

        def slow(_: bytes) -> "asyncio.Task[None]":
            return asyncio.create_task(asyncio.sleep(10.0))

        one.policy.dial = slow  # type: ignore[method-assign, assignment]
        began = loop.time()
        answer = await one.network.ask(two.info.node_id, EndLease(), 0.05)
        assert isinstance(answer, Failed)
        assert loop.time() - began < 9.0

    with_two(tmp_path, story)


def test_a_broken_link_is_told_as_broken(tmp_path: Path) -> None:
    async def story(one: End, two: End) -> None:
        assert isinstance(await one.ask(two), Ack)
        one.network.drop(two.info.node_id, "it does not answer")
        await until(lambda: bool(two.handler.down), what="n2 sees the end of the link")
        assert not one.policy.parts
        assert not two.policy.parts

    with_two(tmp_path, story)
