"""Simulates connections between hosts: ordered bytes that come late, break, or never come.

In: the bytes that transports write. Out: the same bytes at the other end. Counterpart:
`overlay.links.network`, which runs on it unchanged, through the loop's `create_server` and
`create_connection`.

A connection keeps the order of its bytes, as TCP does: a lost segment makes all that follows late.
A cut holds bytes back until it is healed. They are lost if either end gives up before.
"""

import asyncio
import random
from collections.abc import Callable
from contextvars import Context, copy_context
from hashlib import blake2b
from typing import Any

from tests.simulation.clock import PROCESS, Process, VirtualLoop

KERNEL_BUFFER_BYTES = 256 << 10
RETRANSMIT_S = 0.2
CLOSE, RESET, MADE = "close", "reset", "made"


class End(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, wires: "Wires", process: Process, host: str) -> None:
        super().__init__()
        self.wires = wires
        self.process = process
        self.host = host
        self.protocol: asyncio.Protocol | None = None
        self.other: End = self
        self.open = True
        self.made = False
        self.held: list[bytes | str] = []
        self.last_arrival_s = 0.0
        self.outstanding_bytes = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.other.process if name == "process" else default

    def write(self, data: Any) -> None:
        if self.open:
            self.outstanding_bytes += len(data)
            self.wires.send(self, bytes(data))

    def get_write_buffer_size(self) -> int:
        return max(0, self.outstanding_bytes - KERNEL_BUFFER_BYTES)

    def is_closing(self) -> bool:
        return not self.open

    def close(self) -> None:
        self._end(CLOSE)

    def abort(self) -> None:
        self._end(RESET)

    def _end(self, how: str) -> None:
        if self.open:
            self.wires.send(self, how)
            self.gone(None)

    def gone(self, error: Exception | None) -> None:
        """This end is closed; its protocol hears of it in the next turn."""
        if not self.open:
            return
        self.open = False
        self.wires.ends.pop(self, None)
        if self.protocol is not None and self.made:
            loop = self.wires.loop
            loop.call_soon(self.protocol.connection_lost, error, context=self.process.context)

    def arrived(self, item: bytes | str) -> None:
        """Something came from the other end; runs in this end's process."""
        if isinstance(item, bytes):
            self.other.outstanding_bytes -= len(item)
        if not self.open:
            if isinstance(item, bytes):
                self.wires.send(self, RESET)
            return
        if self.protocol is None:
            # The other end died before this one was made; who dials sees it then.
            return
        if item == MADE:
            self.made = True
            self.protocol.connection_made(self)
        elif isinstance(item, bytes):
            self.wires.saw(self, item)
            self.protocol.data_received(item)
        else:
            self.gone(ConnectionResetError("reset by peer") if item == RESET else None)


class Server:
    """Listens at an address until it is closed."""

    def __init__(self, wires: "Wires", where: tuple[str, int]) -> None:
        self._wires = wires
        self._where = where

    def close(self) -> None:
        self._wires.listeners.pop(self._where, None)

    async def wait_closed(self) -> None:
        """Nothing to wait for."""


class DatagramPort(asyncio.DatagramTransport):
    """What one process sends and receives apart from connections."""

    def __init__(self, wires: "Wires", process: Process, where: tuple[str, int]) -> None:
        super().__init__()
        self._wires = wires
        self.process = process
        self.where = where
        self.protocol: asyncio.DatagramProtocol | None = None

    def sendto(self, data: Any, addr: Any = None) -> None:
        self._wires.send_datagram(self, bytes(data), addr)

    def close(self) -> None:
        self._wires.ports.pop(self.where, None)

    def arrived(self, data: bytes, source: tuple[str, int]) -> None:
        """A packet came; runs in this process."""
        if self._wires.ports.get(self.where) is self and self.protocol is not None:
            self._wires.saw_datagram(source[0], self.where[0], data)
            self.protocol.datagram_received(data, source)


class Wires:
    """All connections of a simulated farm."""

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self.loop = loop
        self.chance = chance
        self.delay_s = (0.0002, 0.002)
        self.loss = 0.0
        """How likely a segment is lost and sent again."""
        self.slow: dict[tuple[str, str], float] = {}
        self.cut: set[tuple[str, str]] = set()
        """From, to: nothing passes that way."""
        self.down: set[str] = set()
        """Hosts without power."""
        self.ends: dict[End, None] = {}
        self.listeners: dict[tuple[str, int], tuple[Process, Callable[[], Any]]] = {}
        self.ports: dict[tuple[str, int], DatagramPort] = {}
        self.trace = blake2b(digest_size=16)
        self.messages = 0

    def note(self, *what: object) -> None:
        """Put something that happened into the trace."""
        self.trace.update(f"{self.loop.time():.9f} {what!r}\n".encode())

    def saw(self, end: End, data: bytes) -> None:
        """Bytes that arrived."""
        self.saw_datagram(end.other.host, end.host, data)

    def saw_datagram(self, source: str, target: str, data: bytes) -> None:
        """The same of a packet."""
        self.messages += 1
        self.trace.update(f"{self.loop.time():.9f} {source} {target} ".encode())
        self.trace.update(data)

    def passes(self, source: str, target: str) -> bool:
        """Whether anything gets from one host to the other now."""
        return (source, target) not in self.cut and not {source, target} & self.down

    def listen(self, factory: Callable[[], Any], host: str, port: int) -> Server:
        """`create_server`."""
        process = PROCESS.get()
        assert process is not None
        self.listeners[host, port] = (process, factory)
        return Server(self, (host, port))

    async def connect(self, factory: Callable[[], Any], host: str, port: int) -> tuple[End, Any]:
        """`create_connection`: a round trip, then TLS, which needs both processes awake."""
        process = PROCESS.get()
        assert process is not None
        made: asyncio.Future[tuple[End, Any]] = self.loop.create_future()
        client = End(self, process, process.address)

        def refused() -> None:
            if not made.done():
                made.set_exception(ConnectionRefusedError(f"{host}:{port} refused"))

        def called() -> None:
            if not self.passes(client.host, host):
                return
            found = self.listeners.get((host, port))
            if found is None or not found[0].alive:
                if self.passes(host, client.host):
                    self.loop.call_later(self._delay(host, client.host), refused)
                return
            target, accept = found
            self.loop.call_soon(answered, target, accept, context=target.context)

        def answered(target: Process, accept: Callable[[], Any]) -> None:
            if not self.passes(host, client.host):
                return
            server = End(self, target, host)
            server.protocol = accept()
            server.other, client.other = client, server
            self.ends[server] = None
            delay_s = self._delay(host, client.host)
            self.loop.call_later(delay_s, established, server, context=process.context)

        def established(server: End) -> None:
            if made.done() or not process.alive or not server.process.alive:
                server.open = False
                self.ends.pop(server, None)
                if not made.done() and process.alive:
                    refused()
                return
            self.ends[client] = None
            client.protocol = factory()
            client.made = True
            self.send(client, MADE)
            client.protocol.connection_made(client)
            made.set_result((client, client.protocol))

        self.loop.call_later(self._delay(client.host, host), called, context=_NOBODY)
        return await made

    def listen_for_datagrams(
        self, factory: Callable[[], Any], host: str, port: int
    ) -> tuple[DatagramPort, Any]:
        """`create_datagram_endpoint`."""
        process = PROCESS.get()
        assert process is not None
        made = self.ports[host, port] = DatagramPort(self, process, (host, port))
        made.protocol = factory()
        made.protocol.connection_made(made)
        return made, made.protocol

    def send_datagram(self, sender: DatagramPort, data: bytes, where: tuple[str, int]) -> None:
        """On its way, or lost."""
        target = self.ports.get(where)
        lost = self.loss and self.chance.random() < self.loss
        if target is None or lost or not self.passes(sender.where[0], where[0]):
            return
        delay_s = self.chance.uniform(*self.delay_s)
        delay_s += self.slow.get((sender.where[0], where[0]), 0.0)
        context = target.process.context
        self.loop.call_later(delay_s, target.arrived, data, sender.where, context=context)

    def send(self, end: End, item: bytes | str) -> None:
        """On its way to the other end, or held back by a cut."""
        if not self.passes(end.host, end.other.host) or end.held:
            end.held.append(item)
        else:
            self._deliver(end, item, self._delay(end.host, end.other.host))

    def healed(self) -> None:
        """What was held back is sent again."""
        for end in list(self.ends):
            self._release(end)
            self._release(end.other)

    def process_ended(self, process: Process, *, power: bool) -> None:
        """Its kernel closes its connections, unless the power went."""
        for where in [w for w, (owner, _) in self.listeners.items() if owner is process]:
            del self.listeners[where]
        for where in [w for w, port in self.ports.items() if port.process is process]:
            del self.ports[where]
        for end in [end for end in self.ends if end.process is process]:
            end.open = False
            end.held.clear()
            del self.ends[end]
            if end.other is end:
                continue
            if not power:
                self.send(end, CLOSE)

    def host_back(self, host: str) -> None:
        """A host that lost power is there again, and answers what it does not know by a reset."""
        for end in list(self.ends):
            if end.other.host == host and not end.other.open:
                self.send(end.other, RESET)

    # inner workings

    def _release(self, end: End) -> None:
        if not end.held or not self.passes(end.host, end.other.host):
            return
        held, end.held = end.held, []
        again_s = self.chance.uniform(0.0, 2 * RETRANSMIT_S)
        for item in held:
            self._deliver(end, item, again_s)

    def _deliver(self, end: End, item: bytes | str, delay_s: float) -> None:
        arrival_s = max(self.loop.time() + delay_s, end.last_arrival_s + 1e-7)
        end.last_arrival_s = arrival_s
        other = end.other
        self.loop.call_at(arrival_s, other.arrived, item, context=other.process.context)

    def _delay(self, source: str, target: str) -> float:
        delay_s = self.chance.uniform(*self.delay_s) + self.slow.get((source, target), 0.0)
        backoff_s = RETRANSMIT_S
        while self.loss and self.chance.random() < self.loss:
            delay_s += backoff_s
            backoff_s *= 2
        return delay_s


def _nobody() -> Context:
    context = copy_context()
    context.run(PROCESS.set, None)
    return context


_NOBODY = _nobody()
"""The context of what belongs to no process."""
