"""Runs several real nodes in one process, with TLS on loopback and SQLite in a temporary folder."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvloop

from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.control import control_protocol
from overlay.control.client import ControlClient
from overlay.daemon.node import Node
from overlay.daemon.parts import Parts
from overlay.identity import ca, files, identity, operator
from overlay.links.network import Network
from overlay.records.subscriber import Subscriber, signed, with_password
from tests.waiting import until

FARM = "farm.test"
T = TypeVar("T")
HELD_UP_S = 15.0


def free_port() -> int:
    """A TCP port that is free on every loopback address right now."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


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

    async def ask(
        self, name: str, request: control_protocol.ControlRequest, deadline_s: float = 2.0
    ) -> Any:
        """Ask a node over its control socket, as a proxy would; but wait for an answer that a busy
        machine holds up."""
        deadline_ms = request.deadline_ms or int(deadline_s * 1000)
        asked = msgspec.structs.replace(request, deadline_ms=deadline_ms)

        def in_thread() -> control_protocol.ControlAnswer:
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
