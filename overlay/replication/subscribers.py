"""Coordinates subscriber records: the operator's changes, and reads for digest authentication.

In: control requests. Out: answers; a change is acknowledged when W disks have it. Counterpart:
`replica.py`. What was read stays under a lease, so that a REGISTER needs no round trip between
nodes to be authenticated. No record is taken without the operator's signature, whoever sends it.
"""

import asyncio

from overlay.base.errors import OutdatedError, UnavailableError
from overlay.cache.hot import HotRecords
from overlay.config.config import Config
from overlay.links.network import Transport
from overlay.links.peer_messages import Failed, Reply, Store, Stored
from overlay.records import subscriber
from overlay.records.names import RecordKind, key_of
from overlay.records.subscriber import Subscriber
from overlay.replication.placement import Placement
from overlay.replication.reader import Found, Reader
from overlay.replication.replica import Replica, digest_of
from overlay.replication.vetting import Vetting


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
        vetting: Vetting,
    ) -> None:
        self._own_id = own_id
        self._config = config
        self._placement = placement
        self._replica = replica
        self._reader = reader
        self._hot = hot
        self._transport = transport
        self._vetting = vetting
        self._loop = asyncio.get_running_loop()

    async def get(self, aor: str, timeout_s: float) -> Subscriber | None:
        """The subscriber, or None; raises `UnavailableError`."""
        key = key_of(RecordKind.SUBSCRIBER, aor)
        known, record = self._hot.subscriber(key)
        if not known:
            began_s, turn = self._loop.time(), self._hot.turn
            found = await self._read(key, timeout_s, lease_ms=self._config.overlay.lease_ms)
            record = found.record
            if found.complete and found.lease_ms and turn == self._hot.turn:
                until_s = began_s + found.lease_ms / 1000
                self._hot.keep_subscriber(key, record, until_s, found.granters)
        return record if record and not record.removed else None

    async def latest(self, aor: str, timeout_s: float) -> Subscriber | None:
        """The record in force, removals included, from every replica that answers.

        Raises `UnavailableError` when there are too few for a quorum.
        """
        key = key_of(RecordKind.SUBSCRIBER, aor)
        replicas = self._config.overlay.replicas
        found = await self._read(key, timeout_s, copies_wanted=replicas)
        if not found.complete:
            raise UnavailableError("too few replicas answered")
        return found.record

    async def put(self, record: Subscriber, timeout_s: float) -> int:
        """Store a change on W disks and tell how many replicas have it.

        Raises `ForgedError` when the operator did not sign it, `OutdatedError` when another
        version is in force, `UnavailableError` when there are fewer replicas than W, or than all
        of a smaller farm.
        """
        key = key_of(RecordKind.SUBSCRIBER, record.aor)
        body = subscriber.encode(record)
        self._vetting.subscriber(key, body)
        nodes = await self._placement.find(key, timeout_s)
        store = Store(kind=RecordKind.SUBSCRIBER, key=key, body=body, expected=digest_of(body))
        replies = await asyncio.gather(*(self._send(n.node_id, store, timeout_s) for n in nodes))
        taken = [reply for reply in replies if isinstance(reply, Stored)]
        for other in (reply.body for reply in taken if reply.body):
            if self._vetting.genuine(key, other):
                self._hot.subscriber_changed(key, subscriber.decode(other))
                raise OutdatedError(f"another change of {record.aor} is in force; try again")
        self._hot.subscriber_changed(key, record)
        needed = min(self._config.overlay.write_quorum, len(nodes))
        if len(taken) < needed:
            refusals = sorted({reply.reason for reply in replies if isinstance(reply, Failed)})
            why = ": " + "; ".join(refusals) if refusals else ""
            raise UnavailableError(f"only {len(taken)} of {needed} replicas stored it{why}")
        return len(taken)

    async def _read(
        self, key: bytes, timeout_s: float, lease_ms: int = 0, copies_wanted: int = 0
    ) -> Found[Subscriber | None]:
        return await self._reader.read(
            RecordKind.SUBSCRIBER,
            key,
            _merge_bodies,
            _bodies_of,
            timeout_s,
            lease_ms,
            copies_wanted,
            lambda body: self._vetting.genuine(key, body),
        )

    async def _send(self, node_id: bytes, store: Store, timeout_s: float) -> Reply:
        if node_id != self._own_id:
            return await self._transport.ask(node_id, store, timeout_s)
        future: asyncio.Future[Reply] = self._loop.create_future()

        def answer(reply: Reply) -> None:
            # Who asked may have gone; raising here would cost others of the commit their answer.
            if not future.done():
                future.set_result(reply)

        self._replica.store(self._own_id, store, answer)
        return await future


def _merge_bodies(bodies: list[bytes]) -> Subscriber | None:
    record: Subscriber | None = None
    for body in bodies:
        copy = subscriber.decode(body)
        record = subscriber.merge(record, copy) if record else copy
    return record


def _bodies_of(record: Subscriber | None) -> list[bytes]:
    return [subscriber.encode(record)] if record else []
