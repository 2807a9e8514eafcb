"""Is one node of a peer's DHT. The last node writes and reads, and measures the times.

In: a `Part` in JSON on stdin. Out: a line `ready` on stdout; then, from the node that measures,
`Times` in JSON. Counterpart: `dht.py`, which starts as many nodes as the farm has.

OpenDHT (its own C++ threads) and the kademlia package (asyncio, RPC over UDP) keep values in memory
alone. An acknowledged write is on no disk and waits for no quorum, and anybody may overwrite it.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable

import msgspec

_VALUE_BYTES = 400
_IN_FLIGHT = 64
_SETTLED_WITHIN_S = 20.0
_JOINED = "joined"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What this process does."""

    kind: str
    """`opendht` or `kademlia`."""
    port: int
    known_port: int
    """Of a node that runs already; 0 for the first one."""
    count: int
    """Writes, and reads, one after another; 0: only be there."""
    at_once: int
    """Further writes, 64 under way at a time."""


class DhtTimes(msgspec.Struct, frozen=True, kw_only=True):
    """What the measuring node found."""

    write_us: list[float]
    read_us: list[float]
    writes_per_s: float
    failed: int


def _key(number: int) -> str:
    return f"key-{os.getpid()}-{number}"


def _opendht(part: Part) -> DhtTimes | None:
    import opendht as dht

    node = dht.DhtRunner()
    config = dht.DhtConfig()
    # Its own limits, made for the open internet, would be what is measured.
    config.setRateLimit(-1, -1)
    node.run(port=part.port, config=config)
    if part.known_port:
        node.bootstrap("127.0.0.1", str(part.known_port))
        until_s = time.monotonic() + _SETTLED_WITHIN_S
        # A value that only the others hold: whoever gets it has joined them.
        while not node.get(dht.InfoHash.get(_JOINED)):
            if time.monotonic() > until_s:
                raise TimeoutError("the DHT was not joined")
            time.sleep(0.05)
    else:
        node.put(dht.InfoHash.get(_JOINED), dht.Value(b"joined"))
    _ready(part)
    if not part.count:
        sys.stdin.read()
        node.join()
        return None
    value, failed = b"x" * _VALUE_BYTES, 0
    write_us, read_us = [], []
    for number in range(part.count):
        began_s = time.perf_counter()
        failed += not node.put(dht.InfoHash.get(_key(number)), dht.Value(value))
        write_us.append((time.perf_counter() - began_s) * 1e6)
    for number in range(part.count):
        began_s = time.perf_counter()
        failed += not node.get(dht.InfoHash.get(_key(number)))
        read_us.append((time.perf_counter() - began_s) * 1e6)
    room, left = threading.Semaphore(_IN_FLIGHT), threading.Semaphore(0)

    def done(_ok: bool, _nodes: object) -> None:
        room.release()
        left.release()

    began_s = time.perf_counter()
    for number in range(part.at_once):
        room.acquire()
        node.put(dht.InfoHash.get(_key(part.count + number)), dht.Value(value), done)
    for _ in range(part.at_once):
        left.acquire()
    per_s = part.at_once / (time.perf_counter() - began_s)
    node.join()
    return DhtTimes(write_us=write_us, read_us=read_us, writes_per_s=per_s, failed=failed)


async def _kademlia(part: Part) -> DhtTimes | None:
    from kademlia.network import Server
    from kademlia.utils import digest

    server = Server()
    await server.listen(part.port, "127.0.0.1")
    if part.known_port:
        await server.bootstrap([("127.0.0.1", part.known_port)])
    _ready(part)
    if not part.count:
        await asyncio.to_thread(sys.stdin.read)
        server.stop()
        return None
    value, failed = "x" * _VALUE_BYTES, 0

    async def timed(what: Callable[[], Awaitable[object]], into: list[float]) -> None:
        nonlocal failed
        began_s = time.perf_counter()
        failed += not await what()
        into.append((time.perf_counter() - began_s) * 1e6)

    write_us: list[float] = []
    read_us: list[float] = []
    for number in range(part.count):
        await timed(lambda number=number: server.set(_key(number), value), write_us)
    for number in range(part.count):
        # What it holds itself it would not ask for.
        server.storage.data.pop(digest(_key(number)), None)
        await timed(lambda number=number: server.get(_key(number)), read_us)
    room = asyncio.Semaphore(_IN_FLIGHT)

    async def one(number: int) -> None:
        async with room:
            await server.set(_key(part.count + number), value)

    began_s = time.perf_counter()
    await asyncio.gather(*map(one, range(part.at_once)))
    per_s = part.at_once / (time.perf_counter() - began_s)
    server.stop()
    return DhtTimes(write_us=write_us, read_us=read_us, writes_per_s=per_s, failed=failed)


def _ready(part: Part) -> None:
    print("ready", flush=True)


def main() -> None:
    """Be a node until stdin ends, or until all is measured."""
    part = msgspec.json.decode(sys.stdin.readline(), type=Part)
    times = _opendht(part) if part.kind == "opendht" else asyncio.run(_kademlia(part))
    if times is not None:
        print(msgspec.json.encode(times).decode(), flush=True)


if __name__ == "__main__":
    main()
