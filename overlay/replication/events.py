"""Makes call events safe, and reads them.

In: events of this node's proxies. Out: how safe each event is, before the proxy forwards the
message. Counterparts: `replica.py` commits on each replica, this node included; `journal.py` keeps
events that no quorum took; the signer puts all events that this node writes into signed blocks.

    wanted ──W disks──────────────────────────────► quorum
       └──lost, or half the deadline over──► own disk ──► journal ──W disks, later──► (quorum)
                                                └──disk refuses──► refused: the message is dropped
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from overlay.base.errors import StorageError
from overlay.base.tasks import Background
from overlay.links.record_messages import Store
from overlay.observe.figures import gauge
from overlay.observe.part import Part
from overlay.records import call
from overlay.records.call import CallEvent, CallEvents, Level
from overlay.records.clock import HybridClock
from overlay.records.names import RecordKind, key_of
from overlay.records.node_info import NodeInfo
from overlay.records.refusal import Refusal
from overlay.replication.journal import Journal
from overlay.replication.quorum import Outcome
from overlay.replication.quorum_write import QuorumWrite
from overlay.replication.reader import Found, Merged, Reader
from overlay.replication.replicas import Replicas
from overlay.storage.committer import Committer

OnWritten = Callable[[Level | Refusal], None]
"""Called with how safe the event is, or the reason why it is not safe at all."""


class Signer(Protocol):
    """Signs the events that this node writes; `overlay.billing.ledger` does."""

    def took_on(self, event: CallEvent) -> None:
        """Note that this node writes the event; no disk has it yet."""
        ...

    def gave_up(self, event_id: bytes) -> None:
        """Note that no disk took the event after all."""
        ...


class EventWriter(Part):
    """The farm's call events, written and read through this node."""

    FIGURES = (
        gauge(
            "sipfarm_journal_depth",
            "Call events of this node that are on fewer than W disks",
            lambda events: events.journal_depth,
        ),
    )

    def __init__(
        self,
        name: str,
        replicas: Replicas,
        reader: Reader,
        committer: Committer,
        clock: HybridClock,
        signer: Signer,
    ) -> None:
        self._name = name
        self._replicas = replicas
        self._reader = reader
        self._clock = clock
        self._signer = signer
        self.journal = Journal(replicas, committer)
        self._loop = asyncio.get_running_loop()
        self._finding = Background()

    @property
    def journal_depth(self) -> int:
        """The number of events that fewer than W disks have."""
        return self.journal.depth

    async def start(self) -> None:
        """Begin to bring journalled events to their replicas."""
        self.journal.start()

    async def stop(self) -> None:
        """End every task. Events in the journal stay there for the next start."""
        await self._finding.end()
        await self.journal.stop()

    def farm_changed(self) -> None:
        """Try to empty the journal, as peers may have come."""
        self.journal.wake()

    def write(self, event: CallEvent, timeout_s: float, done: OnWritten) -> None:
        """Make `event` safe. `done` is called once, after about `timeout_s` at the latest."""
        event = msgspec.structs.replace(
            event, node=self._name, changed=self._clock.tick(), level=Level.QUORUM
        )
        self._signer.took_on(event)
        key = key_of(RecordKind.CALL, event.call_id)
        nodes = self._replicas.placement.surely(key)
        if nodes is None:
            self._finding.start(self._find_first(key, event, timeout_s, done))
        else:
            self._write(key, event, nodes, timeout_s, done)

    async def read(self, call_id: str, timeout_s: float) -> Found[CallEvents]:
        """All events of a Call-ID, from every replica; raises `UnavailableError`."""
        key = key_of(RecordKind.CALL, call_id)
        return await self._reader.read(
            RecordKind.CALL,
            key,
            merge_bodies,
            timeout_s,
            copies_wanted=self._replicas.count,
            genuine=lambda body: _belongs(body, key),
        )

    # inner workings

    async def _find_first(
        self, key: bytes, event: CallEvent, timeout_s: float, done: OnWritten
    ) -> None:
        """Ask other nodes for the replicas, in a farm that is larger than the table; then write."""
        until_s = self._loop.time() + timeout_s
        nodes = await self._replicas.placement.find(key, timeout_s / 2)
        self._write(key, event, nodes, until_s - self._loop.time(), done)

    def _write(
        self,
        key: bytes,
        event: CallEvent,
        nodes: tuple[NodeInfo, ...],
        timeout_s: float,
        done: OnWritten,
    ) -> None:
        replicas = self._replicas
        write = _EventWrite(self.journal, self._signer, key, event, done)
        if len(nodes) < replicas.write_quorum:
            write.to_journal()
            return
        write.timer = self._loop.call_later(timeout_s / 2, write.to_journal)
        # The event is encoded only once, for this disk and for all others.
        body = call.encode(event)
        store = Store(kind=RecordKind.CALL, key=key, body=body)
        needed = replicas.write_quorum
        quorum = QuorumWrite(replicas, store, nodes, needed, timeout_s, write.decided)
        quorum.start()
        if quorum.has_own_copy:
            replicas.own.keep_event(key, event, body, quorum.own_copy)


class _EventWrite:
    """One event on its way to W disks, or to this node's disk alone."""

    __slots__ = (
        "_asked_journal",
        "_done",
        "_event",
        "_in_journal",
        "_journal",
        "_key",
        "_signer",
        "_won",
        "timer",
    )

    def __init__(
        self, journal: Journal, signer: Signer, key: bytes, event: CallEvent, done: OnWritten
    ) -> None:
        self._journal = journal
        self._signer = signer
        self._key = key
        self._event = event
        self._done: OnWritten | None = done
        self._asked_journal = False
        self._in_journal = False
        self._won = False
        self.timer: asyncio.TimerHandle | None = None

    def decided(self, outcome: Outcome) -> None:
        """W disks have the event, or too few can be had."""
        if outcome is not Outcome.WON:
            self.to_journal()
            return
        self._won = True
        if self._in_journal:
            self._journal.settled(self._event.event_id)
        self._finish(Level.QUORUM)

    def to_journal(self) -> None:
        """Write the event to this node's journal, as W disks cannot be had, or not in time."""
        if self._done is None or self._asked_journal:
            return
        self._asked_journal = True
        self._journal.keep(self._key, self._event, self._journalled)

    # inner workings

    def _journalled(self, error: StorageError | None) -> None:
        if error is not None:
            self._finish(Refusal(code="storage", reason=str(error)))
            return
        self._in_journal = True
        if self._won:
            self._journal.settled(self._event.event_id)
        else:
            self._journal.wake()
        self._finish(Level.JOURNAL)

    def _finish(self, outcome: Level | Refusal) -> None:
        done, self._done = self._done, None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if done is None:
            return
        if isinstance(outcome, Refusal):
            self._signer.gave_up(self._event.event_id)
        done(outcome)


def _belongs(body: bytes, key: bytes) -> bool:
    """Whether this is an event of this call. A peer or a disk may have sent anything."""
    try:
        return key_of(RecordKind.CALL, call.decode(body).call_id) == key
    except (msgspec.MsgspecError, ValueError):
        return False


def merge_bodies(bodies: Iterable[bytes]) -> Merged[CallEvents]:
    """The events of all copies.

    Of two versions of one event, the rule of the disk decides which one stays (`call.earlier`). It
    stays as it was written, since a node of another version writes other fields.
    """
    kept: dict[bytes, tuple[int, bytes, CallEvent]] = {}
    for body in bodies:
        event = call.decode(body)
        mine = kept.get(event.event_id)
        if mine is None or (event.time_us, body) < mine[:2]:
            kept[event.event_id] = (event.time_us, body, event)
    found = [kept[event_id] for event_id in sorted(kept)]
    return Merged(
        record=tuple(event for _, _, event in found), bodies=[body for _, body, _ in found]
    )
