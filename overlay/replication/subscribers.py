"""Coordinates subscriber records: the operator's changes, and reads for digest authentication.

In: control requests. Out: answers. A change is acknowledged when W disks have it. Counterpart:
`replica.py`.

A record that was read stays under a lease, so that a REGISTER can be authenticated without a round
trip between nodes. A record without the operator's signature is refused, whichever node sends it.
"""

import asyncio
from collections.abc import Iterable

from overlay.base.errors import OutdatedError, UnavailableError
from overlay.cache.hot import HotRecords
from overlay.links.peer_protocol import Failed, PeerReply
from overlay.links.record_messages import Store, Stored
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
    """The farm's subscribers, read and written through this node."""

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
        """The record in force, even if it is a removal, from every replica that answers.

        Raises `UnavailableError` if too few replicas answer for a quorum.
        """
        key = key_of(RecordKind.SUBSCRIBER, aor)
        found = await self._read(key, timeout_s, copies_wanted=self._replicas.count)
        if not found.complete:
            raise UnavailableError("too few replicas answered")
        return found.record

    async def put(self, record: Subscriber, timeout_s: float) -> int:
        """Store a change on W disks; returns the number of replicas that have it.

        Raises `ForgedError` if the operator did not sign the record, `OutdatedError` if another
        version is in force, and `UnavailableError` if fewer than W replicas store it, or fewer than
        all in a smaller farm.
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
        """Have all replicas store the record, and wait for all of them.

        The operator wants to know how many stored it, and whether one of them knew another version.
        """
        replicas, replies = self._replicas, list[PeerReply]()
        everybody: asyncio.Future[Outcome] = self._loop.create_future()

        def decided(outcome: Outcome) -> None:
            # The caller may have stopped waiting.
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
