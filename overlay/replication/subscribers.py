"""Coordinates subscriber records: the operator's changes, and reads for digest authentication.

In: control requests. Out: answers; a change is acknowledged when W disks have it. Counterpart:
`replica.py`. What was read stays under a lease, so that a REGISTER needs no round trip between
nodes to be authenticated.
"""

import asyncio

import msgspec

from overlay.cache.hot import HotRecords
from overlay.config import Config
from overlay.errors import UnavailableError
from overlay.links.messages import Reply, Store, Stored
from overlay.links.network import Transport
from overlay.records import subscriber
from overlay.records.clock import HybridClock
from overlay.records.names import RecordKind, key_of
from overlay.records.subscriber import Subscriber
from overlay.replication.placement import Placement
from overlay.replication.reader import Reader
from overlay.replication.replica import Replica


class SubscriberDirectory:
    """Subscribers of the farm, through this node."""

    def __init__(
        self,
        own_id: bytes,
        config: Config,
        placement: Placement,
        replica: Replica,
        reader: Reader,
        hot: HotRecords,
        transport: Transport,
        clock: HybridClock,
    ) -> None:
        self._own_id = own_id
        self._config = config
        self._placement = placement
        self._replica = replica
        self._reader = reader
        self._hot = hot
        self._transport = transport
        self._clock = clock
        self._loop = asyncio.get_running_loop()

    async def get(self, aor: str, timeout_s: float) -> Subscriber | None:
        """The subscriber, or None; raises `UnavailableError`."""
        key = key_of(RecordKind.SUBSCRIBER, aor)
        known, record = self._hot.subscriber(key)
        if known:
            return record if record and not record.removed else None
        began_s = self._loop.time()
        lease_ms = self._config.overlay.lease_ms
        found = await self._reader.read(
            RecordKind.SUBSCRIBER, key, _merge_bodies, _bodies_of, timeout_s, lease_ms
        )
        record = found.record
        if found.complete and found.lease_ms:
            self._hot.keep_subscriber(key, record, began_s + found.lease_ms / 1000)
        return record if record and not record.removed else None

    async def put(self, record: Subscriber, timeout_s: float) -> int:
        """Store a change on W disks and tell how many replicas have it.

        Raises `UnavailableError` when there are fewer than W, or than all of a smaller farm.
        """
        key = key_of(RecordKind.SUBSCRIBER, record.aor)
        if not record.version:
            record = msgspec.structs.replace(record, version=await self._next(key, timeout_s))
        nodes = await self._placement.find(key, timeout_s)
        store = Store(kind=RecordKind.SUBSCRIBER, key=key, body=subscriber.encode(record))
        replies = await asyncio.gather(*(self._send(n.node_id, store, timeout_s) for n in nodes))
        self._hot.subscriber_changed(key, record)
        stored = sum(isinstance(reply, Stored) for reply in replies)
        needed = min(self._config.overlay.write_quorum, len(nodes))
        if stored < needed:
            raise UnavailableError(f"only {stored} of {needed} replicas stored it")
        return stored

    async def _next(self, key: bytes, timeout_s: float) -> int:
        """A version above the one in force, however far behind this node's clock is."""
        found = await self._reader.read(
            RecordKind.SUBSCRIBER, key, _merge_bodies, _bodies_of, timeout_s
        )
        return max(self._clock.tick(), found.record.version + 1 if found.record else 0)

    async def _send(self, node_id: bytes, store: Store, timeout_s: float) -> Reply:
        if node_id != self._own_id:
            return await self._transport.ask(node_id, store, timeout_s)
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._replica.store(self._own_id, store, future.set_result)
        return await future


def _merge_bodies(bodies: list[bytes]) -> Subscriber | None:
    record: Subscriber | None = None
    for body in bodies:
        copy = subscriber.decode(body)
        record = subscriber.merge(record, copy) if record else copy
    return record


def _bodies_of(record: Subscriber | None) -> list[bytes]:
    return [subscriber.encode(record)] if record else []
