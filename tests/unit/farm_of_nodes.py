"""Several real nodes in one process: TLS on loopback addresses, SQLite in a temporary folder."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvloop

from overlay import config as configuration
from overlay.config import Config
from overlay.control import messages
from overlay.control.client import ControlClient
from overlay.identity import ca, files, identity, operator
from overlay.links.network import Network
from overlay.node import Node
from overlay.parts import Parts
from overlay.records import call
from overlay.records.call import CallEvent, EventKind
from overlay.records.subscriber import Subscriber, signed, with_password

FARM = "farm.test"
T = TypeVar("T")
HELD_UP_S = 15.0


def free_port() -> int:
    """A TCP port that is free on every loopback address right now."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


async def until(condition: Callable[[], bool], timeout_s: float = 30.0, what: str = "") -> None:
    """Wait for a condition; fails with its name when it does not come."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end_s:
            raise AssertionError(f"did not happen within {timeout_s:g} s: {what or condition}")
        await asyncio.sleep(0.005)


class Farm:
    """Nodes n1, n2, ... of one farm."""

    def __init__(self, directory: Path, **overlay: object) -> None:
        self.directory = directory
        self.nodes: dict[str, Node] = {}
        self._overlay = overlay
        self.sections: dict[str, dict[str, object]] = {}
        """Further sections of every node's configuration; set before the nodes start."""
        self.of_node: dict[str, dict[str, object]] = {}
        """Further settings of section node, by name."""
        self.parts: Parts | None = None
        """The world of every node; set before the nodes start."""
        self._port = free_port()
        self.networks: list[Network] = []
        """Networks without a node; they are stopped with the farm. (A loop with open handles of
        uvloop may never close.)"""
        self._redis: dict[str, subprocess.Popen[bytes]] = {}
        ca.create(directory / "ca", FARM)
        self.operator_key = operator.load_key(directory / "ca" / files.OPERATOR_KEY)

    def config(self, name: str) -> Config:
        """A node's configuration: only n1's address is known to all."""
        number = int(name[1:])
        home = self.directory / name
        address = f"127.0.7.{number}"
        if not (home / "etc" / "node.key").exists():
            ca.issue(self.directory / "ca", FARM, name, address, home / "etc")
        sections = {
            "farm": {"name": FARM},
            "node": {
                "name": name,
                "address": address,
                "data_dir": str(home / "data"),
                "run_dir": str(home / "run"),
                "identity_dir": str(home / "etc"),
                **self.of_node.get(name, {}),
            },
            "overlay": {
                "port": self._port,
                "bootstrap": [f"127.0.7.1:{self._port}", f"127.0.7.2:{self._port}"],
                "repair_interval_ms": 200,
                **self._overlay,
            },
            **self.sections,
        }
        return configuration.parse(sections, name)

    def subscriber(self, aor: str, password: str, version: int) -> Subscriber:
        """A subscriber as the operator makes one."""
        return signed(with_password(aor, password, version), self.operator_key)

    def removal(self, aor: str, version: int) -> Subscriber:
        """The removal of one."""
        return signed(Subscriber(aor=aor, version=version, removed=True), self.operator_key)

    async def start(self, *names: str) -> None:
        """Start nodes."""
        for name in names:
            config = self.config(name)
            node = Node(config, identity.load(config), self.parts)
            await node.start()
            self.nodes[name] = node

    async def stop(self, *names: str) -> None:
        """Stop nodes, all by default."""
        for name in names or list(self.nodes):
            await self.nodes.pop(name).stop()

    async def joined(self) -> None:
        """Wait until every node sees every other."""
        size = len(self.nodes)
        await until(
            lambda: all(len(n.membership.alive()) == size for n in self.nodes.values()),
            what=f"{size} nodes see each other",
        )

    def start_redis(self, name: str) -> Path:
        """A real Redis for a node, at the socket that its configuration names."""
        path = self.config(name).redis_socket
        path.parent.mkdir(parents=True, exist_ok=True)
        server = shutil.which("redis-server")
        assert server, "redis-server is not installed"
        self._redis[name] = subprocess.Popen(
            [server, "--port", "0", "--unixsocket", str(path), "--save", ""],
            cwd=path.parent,
            stdout=subprocess.DEVNULL,
        )
        return path

    def stop_redis(self, name: str) -> None:
        """Kill it."""
        server = self._redis.pop(name)
        server.kill()
        server.wait()

    async def close(self) -> None:
        """Stop everything that was started."""
        await self.stop()
        for network in self.networks:
            await network.stop(left=False)
        for name in list(self._redis):
            self.stop_redis(name)

    async def ask(self, name: str, request: messages.Requests, deadline_s: float = 2.0) -> Any:
        """Ask a node over its control socket, as a proxy would; but wait for an answer that a busy
        machine holds up."""
        deadline_ms = request.deadline_ms or int(deadline_s * 1000)
        asked = msgspec.structs.replace(request, deadline_ms=deadline_ms)

        def in_thread() -> messages.Answers:
            with ControlClient(self.nodes[name].config.control_socket) as client:
                return client.ask(asked, deadline_s + HELD_UP_S)

        return await asyncio.get_running_loop().run_in_executor(None, in_thread)


def play(directory: Path, story: Callable[[Farm], Coroutine[Any, Any, T]], **overlay: object) -> T:
    """Run a story on a farm, and clean up whatever happened."""

    async def run() -> T:
        farm = Farm(directory, **overlay)
        try:
            return await story(farm)
        finally:
            await farm.close()

    return uvloop.run(run())


def register(aor: str, contact: str, cseq: int = 1, expires_s: int = 60) -> messages.Register:
    """A REGISTER of one contact."""
    change = messages.ContactChange(uri=contact, expires_s=expires_s)
    return messages.Register(aor=aor, call_id=f"reg-{aor}", cseq=cseq, contacts=(change,))


def start_event(call_id: str) -> messages.WriteEvent:
    """The START of a call from bob to alice."""
    return _event(EventKind.START, call_id, "bob", "alice", code=200)


def stop_event(call_id: str) -> messages.WriteEvent:
    """Its STOP: alice hung up."""
    return _event(EventKind.STOP, call_id, "alice", "bob")


def _event(kind: EventKind, call_id: str, one: str, two: str, code: int = 0) -> messages.WriteEvent:
    event = CallEvent(
        kind=kind,
        event_id=call.event_id(kind, call_id, one, two),
        call_id=call_id,
        from_tag=one,
        to_tag=two,
        time_us=time.time_ns() // 1000,
        code=code,
        from_uri=f"sip:{one}@{FARM}",
        to_uri=f"sip:{two}@{FARM}",
    )
    return messages.WriteEvent(event=event)


async def eventually(question: Callable[[], Awaitable[bool]], timeout_s: float = 30.0) -> None:
    """Wait until an awaited question is answered with yes."""
    end_s = time.monotonic() + timeout_s
    while not await question():
        assert time.monotonic() < end_s, f"did not happen within {timeout_s:g} s"
        await asyncio.sleep(0.02)
