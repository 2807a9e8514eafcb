"""A daemon watches the program on its node's SIP port."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from overlay.kamailio.watch import MISSES_MAX
from overlay.kamailio.watcher import KamailioWatcher
from tests.sip.message import answered
from tests.unit.kamailio.test_options_ping import config_of
from tests.waiting import until


class Kamailio(asyncio.DatagramProtocol):
    """Something on a port that answers, or does not."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.silent = False
        self.asked = 0
        self._transport: asyncio.DatagramTransport | None = None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind((host, port))
            self.address: tuple[str, int] = free.getsockname()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=self.address
        )

    def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        if not self.silent:
            assert self._transport is not None
            self._transport.sendto(answered(data, 200, "OK"), addr)


class Scene:
    """A watcher, its Kamailio, and what it tells."""

    def __init__(self) -> None:
        self.kamailio = Kamailio()
        self.watcher = KamailioWatcher(config_of(*self.kamailio.address))
        self.told: list[bool] = []

    def start(self) -> None:
        self.watcher.go_on(lambda: self.told.append(bool(self.watcher.away)))


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop])
def play(request: pytest.FixtureRequest) -> Callable[[Callable[[Scene], Awaitable[None]]], None]:
    """Runs a story on each kind of loop."""

    def run(story: Callable[[Scene], Awaitable[None]]) -> None:
        async def whole() -> None:
            scene = Scene()
            try:
                await story(scene)
            finally:
                await scene.watcher.stop()
                scene.kamailio.stop()

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(whole())

    return run


Play = Callable[[Callable[[Scene], Awaitable[None]]], None]


def test_one_that_answers_is_known_before_the_first_turn(play: Play) -> None:
    async def story(scene: Scene) -> None:
        await scene.kamailio.start()
        await scene.watcher.start()
        assert scene.watcher.away == ""
        scene.start()
        await until(lambda: scene.kamailio.asked > 2)
        assert scene.told == []

    play(story)


def test_one_that_dies_and_comes_back_is_told(play: Play) -> None:
    async def story(scene: Scene) -> None:
        await scene.watcher.start()
        assert scene.watcher.away == "no answer to OPTIONS: connection refused"
        scene.start()
        await scene.kamailio.start()
        await until(lambda: scene.told == [False])
        scene.kamailio.stop()
        await until(lambda: scene.told == [False, True])
        await scene.kamailio.start()
        await until(lambda: scene.told == [False, True, False])

    play(story)


def test_one_that_is_silent_is_told(play: Play) -> None:
    async def story(scene: Scene) -> None:
        await scene.kamailio.start()
        await scene.watcher.start()
        scene.start()
        scene.kamailio.silent = True
        await until(lambda: scene.told == [True])
        assert scene.watcher.away.startswith("no answer to OPTIONS for ")
        scene.kamailio.silent = False
        await until(lambda: scene.told == [True, False])

    play(story)


def test_answers_that_came_while_the_daemon_stood_still_count(play: Play) -> None:
    async def story(scene: Scene) -> None:
        await scene.kamailio.start()
        await scene.watcher.start()
        scene.start()
        for _ in range(8):
            asked = scene.kamailio.asked
            await until(lambda asked=asked: scene.kamailio.asked > asked)  # type: ignore[misc]
            hold_up(0.35)
        assert scene.told == []

    play(story)


def test_workers_that_take_in_messages_have_longer(play: Play, tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.watcher = KamailioWatcher(config_of(*scene.kamailio.address, str(tmp_path)))
        await scene.kamailio.start()
        await scene.watcher.start()
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as figures:
            figures.bind(str(tmp_path / "kamailio.sock"))
            taken = 0

            def tell() -> None:
                nonlocal taken
                question, sender = figures.recvfrom(65_535)
                taken += 10
                said = [f"core:rcv_requests = {taken}", "core:rcv_replies = 0"]
                answer = {"jsonrpc": "2.0", "result": said, "id": json.loads(question)["id"]}
                figures.sendto(json.dumps(answer).encode(), sender)

            loop.add_reader(figures, tell)
            scene.start()
            scene.kamailio.silent = True
            asked = scene.kamailio.asked
            await until(lambda: scene.kamailio.asked > asked + 3 * MISSES_MAX)
            assert scene.told == []
            loop.remove_reader(figures)
        await until(lambda: scene.told == [True])

    play(story)


def hold_up(seconds: float) -> None:
    """The process stands still."""
    end_s = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end_s:
        pass
