"""Coordinates subscriber records: the operator's changes, and reads for digest authentication.

In: control requests. Out: answers; a change is acknowledged when W disks have it. Counterpart:
`replica.py`. What was read stays under a lease, so that a REGISTER needs no round trip between
nodes to be authenticated. No record is taken without the operator's signature, whoever sends it.
"""

import asyncio
from collections.abc import Iterable

from overlay.base.errors import OutdatedError, UnavailableError
from overlay.cache.hot import HotRecords
from overlay.links.peer_protocol import Ack, Failed, PeerReply
from overlay.links.record_messages import Changed, Store, Stored
from overlay.records import subscriber
from overlay.records.names import RecordKind, key_of
from overlay.records.node_info import NodeInfo
from overlay.records.subscriber import Subscriber
from overlay.replication.quorum import Outcome
from overlay.replication.quorum_write import QuorumWrite
from overlay.replication.reader import Found, Merged, Reader
from overlay.replication.replica import digest_of
from overlay.replication.replicas import Replicas
from overlay.replication.vetting import Vetting


class SubscriberDirectory:
    """Subscribers of the farm, through this node."""

    def __init__(
        self,
        lease_ms: int,
        replicas: Replicas,
        reader: Reader,
        hot: HotRecords,
        vetting: Vetting,
    ) -> None:
        self._lease_ms = lease_ms
        self._replicas = replicas
        self._reader = reader
        self._hot = hot
        self._vetting = vetting
        self._loop = asyncio.get_running_loop()

    async def get(self, aor: str, timeout_s: float) -> Subscriber | None:
        """The subscriber, or None; raises `UnavailableError`."""
        key = key_of(RecordKind.SUBSCRIBER, aor)
        leased = self._hot.subscriber(key)
        if leased is not None:
            record = leased.record
        else:
            began_s, turn = self._loop.time(), self._hot.turn
            found = await self._read(key, timeout_s, lease_ms=self._lease_ms)
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
        found = await self._read(key, timeout_s, copies_wanted=self._replicas.count)
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
        nodes = await self._replicas.placement.find(key, timeout_s)
        if not nodes:
            raise UnavailableError("there is no replica")
        needed = self._replicas.needed(len(nodes))
        store = Store(kind=RecordKind.SUBSCRIBER, key=key, body=body, expected=digest_of(body))
        outcome, replies = await self._write(store, nodes, needed, timeout_s)
        taken = [reply for reply in replies if isinstance(reply, Stored)]
        for other in (reply.body for reply in taken if reply.body):
            if self._vetting.genuine(key, other):
                self._hot.subscriber_changed(key, subscriber.decode(other))
                raise OutdatedError(f"another change of {record.aor} is in force; try again")
        self._hot.subscriber_changed(key, record)
        if outcome is not Outcome.WON:
            refusals = sorted({reply.reason for reply in replies if isinstance(reply, Failed)})
            why = ": " + "; ".join(refusals) if refusals else ""
            raise UnavailableError(f"only {len(taken)} of {needed} replicas stored it{why}")
        return len(taken)

    def pushed(self, push: Changed) -> PeerReply:
        """A replica tells of a change."""
        if not self._vetting.genuine(push.key, push.body):
            return Failed(code="forged", reason="not signed by the operator")
        self._hot.subscriber_changed(push.key, subscriber.decode(push.body))
        return Ack()

    async def _read(
        self, key: bytes, timeout_s: float, lease_ms: int = 0, copies_wanted: int = 0
    ) -> Found[Subscriber | None]:
        return await self._reader.read(
            RecordKind.SUBSCRIBER,
            key,
            _merge_bodies,
            timeout_s,
            lease_ms,
            copies_wanted,
            lambda body: self._vetting.genuine(key, body),
        )

    async def _write(
        self, store: Store, nodes: tuple[NodeInfo, ...], needed: int, timeout_s: float
    ) -> tuple[Outcome, list[PeerReply]]:
        """Have all replicas store it, and wait for all of them: the operator is told how many did,
        and whether one of them knew another version."""
        replicas, replies = self._replicas, list[PeerReply]()
        everybody: asyncio.Future[Outcome] = self._loop.create_future()

        def decided(outcome: Outcome) -> None:
            # Whoever asked may have gone.
            if not everybody.done():
                everybody.set_result(outcome)

        write = QuorumWrite(
            replicas, store, nodes, needed, timeout_s, decided, replies.append, everybody=True
        )
        write.start()
        if write.has_own_copy:
            replicas.own.store(replicas.own_id, store, write.answered)
        return await everybody, replies


def _merge_bodies(bodies: Iterable[bytes]) -> Merged[Subscriber | None]:
    record: Subscriber | None = None
    for body in bodies:
        copy = subscriber.decode(body)
        record = subscriber.merge(record, copy) if record else copy
    return Merged(record=record, bodies=[subscriber.encode(record)] if record else [])
