"""A simulated host: address, clock, disk, Redis, and at most one daemon, which is the real one.

In: starts, crashes, freezes. Out: a running `overlay.daemon.node.Node` on simulated parts, and its
control socket. Counterparts: `faults.py`, which breaks hosts; `clients.py`, which asks them.
"""

import asyncio
import random
import ssl
from datetime import UTC, datetime
from functools import cache
from hashlib import sha1
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overlay.base.errors import StorageError
from overlay.base.frames import FrameBuffer, pack
from overlay.base.limits import CONTROL_REPLY_BYTES_MAX
from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.control import control_codec
from overlay.control.server import ControlServer
from overlay.daemon.node import Node
from overlay.daemon.parts import NowMs, Parts
from overlay.identity.identity import Identity
from overlay.identity.operator import OperatorKey
from overlay.identity.peer import Peer
from overlay.links.network import Network
from overlay.membership.discovery import Discovery
from overlay.storage.bindings import Bindings
from overlay.storage.committer import Committer
from tests.simulation.clock import Process, VirtualLoop
from tests.simulation.disk import Disk, ProcessDisk
from tests.simulation.redis import ProcessProjection, ProcessTargets, Redis
from tests.simulation.wires import Wires

FARM = "farm.test"
EPOCH_MS = 1_700_000_000_000
RESTART_S = 0.5
OPERATOR = OperatorKey(Ed25519PrivateKey.from_private_bytes(b"operator" * 4))


class ProvenNetwork(Network):
    """The daemon's links; who is at the other end, the simulation knows without a certificate."""

    def secret(self) -> bytes:
        return self._identity.node_id + bytes(12)

    def identify(self, transport: asyncio.Transport) -> Peer:
        process = transport.get_extra_info("process")
        return Peer(
            node_id=node_id_of(process.name),
            name=process.name,
            farm=FARM,
            address=process.address,
        )


class ConfiguredAddresses(Discovery):
    """There is no DNS."""

    async def _named(self) -> list[tuple[str, int]]:
        return []


class ControlSocket(ControlServer):
    """The daemon's control server without a socket below it."""

    async def start(self) -> None:
        pass


class Connection(asyncio.Transport):
    """A proxy's connection to its daemon, both ends of it."""

    def __init__(self, process: Process, loop: VirtualLoop, server: ControlServer) -> None:
        super().__init__()
        self._process = process
        self._loop = loop
        self._frames = FrameBuffer(CONTROL_REPLY_BYTES_MAX)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._closed = False
        self._protocol: asyncio.Protocol | None = None
        self._loop.call_soon(self._connect, server, context=process.context)

    def ask(self, request: Any) -> "asyncio.Future[Any]":
        """A future of the answer, None when the daemon hangs up."""
        self._last_id += 1
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._closed or not self._process.alive:
            future.set_result(None)
            return future
        self._waiting[self._last_id] = future
        frame = pack(control_codec.encode(msgspec.structs.replace(request, id=self._last_id)))
        self._loop.call_soon(self._send, frame, context=self._process.context)
        return future

    def write(self, data: Any) -> None:
        for payload in self._frames.feed(bytes(data)):
            answer = control_codec.decode_answer(payload)
            future = self._waiting.pop(answer.id, None)
            if future is not None and not future.done():
                future.set_result(answer)

    def close(self) -> None:
        self._closed = True
        if self._protocol is not None:
            self._protocol.connection_lost(None)
            self._protocol = None
        for future in self._waiting.values():
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closed

    def hung_up(self) -> None:
        """The daemon died."""
        self._protocol = None
        self.close()

    def _connect(self, server: ControlServer) -> None:
        self._protocol = server.connection()
        self._protocol.connection_made(self)

    def _send(self, frame: bytes) -> None:
        if self._protocol is not None:
            self._protocol.data_received(frame)


class Host:
    """One machine of the farm."""

    def __init__(
        self, number: int, loop: VirtualLoop, wires: Wires, seed: str, settings: dict[str, Any]
    ) -> None:
        self.name = f"n{number}"
        self.address = f"10.0.{number >> 8}.{number & 255}"
        self.loop = loop
        self.wires = wires
        self.chance = random.Random(f"{seed} {self.name}")
        self.disk = Disk(random.Random(f"{seed} {self.name} disk"))
        self.redis = Redis(loop)
        self.worker = ProcessTargets(self.redis, loop)
        self.skew_ms = 0
        self.skews_ms = {0}
        self.process: Process | None = None
        self.node: Node | None = None
        self.gone = False
        """For good."""
        self.crashes: list[float] = []
        self._process_disk: ProcessDisk | None = None
        self._connection: Connection | None = None
        self.config = _config(self.name, self.address, settings)
        self.identity = _identity(self.name, self.address)

    @property
    def up(self) -> bool:
        """A daemon runs and is not frozen."""
        return self.node is not None and not (self.process and self.process.frozen)

    def now_ms(self) -> int:
        """This host's wall clock."""
        return EPOCH_MS + int(self.loop.time() * 1000) + self.skew_ms

    def set_clock(self, skew_ms: int) -> None:
        """Somebody changed it."""
        self.skew_ms = skew_ms
        self.skews_ms.add(skew_ms)

    async def start(self) -> None:
        """Start the daemon and wait until it is up; one that finds no room on the disk ends, and is
        started again."""
        await self._start()
        while self.process is None:
            await asyncio.sleep(RESTART_S)
            await self._start()

    async def stop(self) -> None:
        """Stop the daemon as SIGTERM does."""
        node, process = self.node, self.process
        if node is None or process is None:
            return
        self.node = None
        self._hang_up()
        await asyncio.wait([self.loop.start_in(process, node.stop())], timeout=5.0)
        if self.process is process:
            self._end(power=False)

    def crash(self, *, power: bool) -> None:
        """The daemon is killed, or the host's power goes."""
        if self.process is None:
            return
        self.crashes.append(self.loop.time())
        self._end(power=power)
        if power:
            self.disk.lose_power(random.Random(f"{self.name} {self.loop.time()}"))
            self.wires.down.add(self.address)
            self.redis.restart()
            self.worker = ProcessTargets(self.redis, self.loop)

    def freeze(self) -> None:
        """As SIGSTOP does."""
        if self.process is not None:
            self.process.frozen = True

    def thaw(self) -> None:
        """As SIGCONT does."""
        if self.process is not None and self.process.frozen:
            self.loop.thaw(self.process)

    async def ask(self, request: Any, deadline_s: float) -> Any:
        """What a proxy of this host is answered; None when nothing comes in time."""
        if self.node is None or self.process is None:
            await asyncio.sleep(0.001)
            return None
        if self._connection is None:
            self._connection = Connection(self.process, self.loop, self.node.control.server)
        request = msgspec.structs.replace(request, deadline_ms=int(deadline_s * 1000))
        answer = self._connection.ask(request)
        await asyncio.wait([answer], timeout=deadline_s + 0.1)
        return answer.result() if answer.done() else None

    # inner workings

    async def _start(self) -> None:
        assert self.node is None
        if self.process is not None:
            # It was not up in time.
            self._end(power=False)
        if self.address in self.wires.down:
            self.wires.down.discard(self.address)
            self.wires.host_back(self.address)
        process = self.process = Process(self.name, self.address)
        parts = Parts(
            now_ms=self.now_ms,
            chance=random.Random(self.chance.random()),
            network=ProvenNetwork,
            storage=self._storage,
            discovery=ConfiguredAddresses,
            projection=lambda _: ProcessProjection(self.redis, self.loop),
            control=ControlSocket,
        )

        async def run() -> None:
            node = Node(self.config, self.identity, parts)
            try:
                await node.start()
            except StorageError:
                if self.process is process:
                    self._end(power=False)
                return
            if self.process is process:
                self.node = node

        await asyncio.wait([self.loop.start_in(process, run())], timeout=2.0)

    def _storage(self, _: Config, now_ms: NowMs) -> tuple[Committer, Bindings]:
        self._process_disk = ProcessDisk(self.disk, self.loop, self.chance)
        return Committer(self._process_disk), Bindings(self.disk.bindings, now_ms)

    def _end(self, *, power: bool) -> None:
        assert self.process is not None
        process, self.process, self.node = self.process, None, None
        self.loop.kill(process)
        self.wires.process_ended(process, power=power)
        if self._process_disk is not None:
            self._process_disk.crash()
            self._process_disk = None
        self._hang_up()

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.hung_up()


def node_id_of(name: str) -> bytes:
    """The id that the simulation gives a node."""
    return sha1(name.encode()).digest()


@cache
def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@cache
def _identity(name: str, address: str) -> Identity:
    known: dict[str, Any] = {
        "node_id": node_id_of(name),
        "name": name,
        "farm": FARM,
        "address": address,
        "expires_at": datetime(2100, 1, 1, tzinfo=UTC),
        "farm_secret": "0" * 64,
        "operator": OPERATOR.public,
        "server_context": _context(),
        "client_context": _context(),
    }
    return Identity(**known)


def _config(name: str, address: str, settings: dict[str, Any]) -> Config:
    sections = {
        "farm": {"name": FARM},
        "node": {"name": name, "address": address, "data_dir": "/nowhere", "run_dir": "/nowhere"},
        "overlay": {"bootstrap": ["10.0.0.1", "10.0.0.2"], **settings},
        "dns": {"enabled": False},
    }
    return configuration.parse(sections, name)
