"""Makes call events safe, and reads them.

In: events of this node's proxies. Out: how safe each one is, before the proxy forwards the message.
Counterparts: `replica.py` commits on each replica, `overlay.storage.committer` here.

    wanted ──W disks──────────────────────────────► quorum
       └──lost, or half the deadline over──► own disk ──► journal ──W disks, later──► (quorum)
                                                └──disk refuses──► refused: the message is dropped
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from overlay.base import tasks
from overlay.base.errors import SipfarmError, StorageError
from overlay.base.limits import UNPROVEN_NAMED_MAX
from overlay.config.config import Config
from overlay.links.network import Transport
from overlay.links.peer_messages import Reply, Store, Stored
from overlay.observe.figures import Figures, gauge
from overlay.observe.part import Part
from overlay.records import call
from overlay.records.call import CallEvent, CallEvents
from overlay.records.clock import HybridClock
from overlay.records.draining import Missing
from overlay.records.names import RecordKind, key_of
from overlay.records.node_info import NodeInfo
from overlay.replication.fanout import Fanout
from overlay.replication.placement import Placement
from overlay.replication.quorum import Outcome, Votes
from overlay.replication.reader import Found, Reader
from overlay.replication.spreader import Spreader
from overlay.storage.committer import Committer
from overlay.storage.rows import EventRow, JournalDone

log = logging.getLogger(__name__)

QUORUM, JOURNAL = "quorum", "journal"
FLUSH_S = 1.0
FLUSH_EVENTS = 200
FLUSH_TIMEOUT_S = 2.0

Done = Callable[[str, str], None]
"""Called with the level, or with "" and why it is not safe."""


class EventWriter(Part):
    """Call events of the farm, through this node."""

    def __init__(
        self,
        own_id: bytes,
        config: Config,
        placement: Placement,
        committer: Committer,
        reader: Reader,
        transport: Transport,
        spreader: Spreader,
        clock: HybridClock,
    ) -> None:
        self._own_id = own_id
        self._name = config.node.name
        self._write_quorum = config.overlay.write_quorum
        self._replicas = config.overlay.replicas
        self._placement = placement
        self._committer = committer
        self._reader = reader
        self._transport = transport
        self._spreader = spreader
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._finding: set[asyncio.Task[None]] = set()
        self.journal_depth = 0
        self.waiting: tuple[Missing, ...] = ()
        """Some of the journalled events, and the nodes that did not take them."""
        self.event_stored: Callable[[bytes, CallEvent], None] = lambda key, event: None
        """Told of every event that this node has on its disk as a replica."""
        self.took_on: Callable[[CallEvent], None] = lambda event: None
        """Told of every event that this node writes, before any disk has it;"""
        self.gave_up: Callable[[bytes], None] = lambda event_id: None
        """and of the id of each that no disk took after all."""

    async def start(self) -> None:
        """Begin to bring journalled events to their replicas."""
        self._wake.set()
        self._task = asyncio.create_task(self._keep_flushing(), name="journal")

    async def stop(self) -> None:
        """End every task; what is in the journal stays there for the next start."""
        for finding in list(self._finding):
            finding.cancel()
        await tasks.end([self._task])

    def figures(self) -> Figures:
        return (
            gauge(
                "sipfarm_journal_depth",
                "Call events on fewer than W disks",
                lambda: self.journal_depth,
            ),
        )

    def farm_changed(self) -> None:
        """Peers came: the journal may be emptied now."""
        self._wake.set()

    def write(self, event: CallEvent, timeout_s: float, done: Done) -> None:
        """Make `event` safe; `done` is called once, in about `timeout_s` at the latest."""
        event = msgspec.structs.replace(
            event, node=self._name, changed=self._clock.tick(), level=QUORUM
        )
        self.took_on(event)
        key = key_of(RecordKind.CALL, event.call_id)
        nodes = self._placement.surely(key)
        if nodes is None:
            task = asyncio.create_task(self._find_first(key, event, timeout_s, done))
            self._finding.add(task)
            task.add_done_callback(self._finding.discard)
        else:
            self._write(key, event, nodes, timeout_s, done)

    async def read(self, call_id: str, timeout_s: float) -> Found[CallEvents]:
        """All events of a Call-ID, from every replica; raises `UnavailableError`."""
        key = key_of(RecordKind.CALL, call_id)
        return await self._reader.read(
            RecordKind.CALL,
            key,
            merge_bodies,
            lambda events: [call.encode(event) for event in events],
            timeout_s,
            copies_wanted=self._replicas,
            genuine=lambda body: _belongs(body, key),
        )

    @property
    def write_quorum(self) -> int:
        """W."""
        return self._write_quorum

    def journal(self, key: bytes, event: CallEvent, done: Done) -> None:
        """Keep the event on this node's disk, and note that it must go further."""
        event = msgspec.structs.replace(event, level=JOURNAL)
        row = EventRow(
            call_key=key,
            event_id=event.event_id,
            time_us=event.time_us,
            body=call.encode(event),
            journal=True,
            new=event.kind in call.BEGINNINGS,
        )

        def committed(error: StorageError | None) -> None:
            if error is None:
                self.journal_depth += 1
                done(JOURNAL, "")
            else:
                done("", str(error))

        self._committer.commit(row, committed)

    def journal_done(self, event_id: bytes) -> None:
        """The event is on W disks after all."""

        def committed(error: StorageError | None) -> None:
            if error is None:
                self.journal_depth = max(0, self.journal_depth - 1)
            else:
                # The note stands: it is taken away when all of them are looked at.
                self._wake.set()

        self._committer.commit(JournalDone(event_id=event_id), committed)

    # inner workings

    async def _find_first(self, key: bytes, event: CallEvent, timeout_s: float, done: Done) -> None:
        """In a farm that the table does not hold, others know who the replicas are."""
        until_s = self._loop.time() + timeout_s
        nodes = await self._placement.find(key, timeout_s / 2)
        self._write(key, event, nodes, until_s - self._loop.time(), done)

    def _write(
        self,
        key: bytes,
        event: CallEvent,
        nodes: tuple[NodeInfo, ...],
        timeout_s: float,
        done: Done,
    ) -> None:
        write = _Write(self, key, event, len(nodes), done)
        if len(nodes) < self._write_quorum:
            write.to_journal()
            return
        write.timer = self._loop.call_later(timeout_s / 2, write.to_journal)
        body = call.encode(event)
        store = Store(kind=RecordKind.CALL, key=key, body=body)
        others = [node for node in nodes if node.node_id != self._own_id]
        is_replica = len(others) < len(nodes)
        write.fanout = Fanout(
            self._transport, self._spreader, store, others, write.answered, timeout_s
        )
        write.fanout.start(self._write_quorum - is_replica)
        if is_replica:
            row = EventRow(
                call_key=key,
                event_id=event.event_id,
                time_us=event.time_us,
                body=body,
                new=event.kind in call.BEGINNINGS,
            )

            def committed(error: StorageError | None) -> None:
                if error is None:
                    self.event_stored(key, event)
                write.committed(error)

            self._committer.commit(row, committed)

    async def _keep_flushing(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            before, known = self.journal_depth, True
            try:
                rows = await self._committer.read(lambda db: db.journal(FLUSH_EVENTS))
                kept = await asyncio.gather(
                    *(self._flush(event_id, body) for event_id, body in rows)
                )
                self.waiting = tuple(each for each in kept if each)[:UNPROVEN_NAMED_MAX]
                self.journal_depth = await self._committer.read(lambda db: db.journal_depth())
            except SipfarmError as error:
                log.error("the journal cannot be emptied: %s", error)
                known = False
            if self.journal_depth or not known:
                if self.journal_depth >= before:
                    await asyncio.sleep(FLUSH_S)
                self._wake.set()

    async def _flush(self, event_id: bytes, body: bytes) -> Missing | None:
        """Bring one journalled event to its replicas; who did not take it, if it stays."""
        event = msgspec.structs.replace(call.decode(body), level=JOURNAL)
        key = key_of(RecordKind.CALL, event.call_id)
        nodes = await self._placement.find(key, FLUSH_TIMEOUT_S)
        store = Store(kind=RecordKind.CALL, key=key, body=body)
        others = [node for node in nodes if node.node_id != self._own_id]
        replies = await asyncio.gather(*(self._send(node, store) for node in others))
        disks = sum(isinstance(reply, Stored) for reply in replies) + (len(others) < len(nodes))
        if disks >= self._write_quorum:
            await self._committer.commit_wait(JournalDone(event_id=event_id))
            return None
        refused = (
            node.name
            for node, reply in zip(others, replies, strict=True)
            if not isinstance(reply, Stored)
        )
        return Missing(kind=event.kind.name, name=event.call_id, key=key, peers=tuple(refused))

    async def _send(self, node: NodeInfo, store: Store) -> Reply:
        return await self._transport.ask(node.node_id, store, FLUSH_TIMEOUT_S)


class _Write:
    """One event on its way to W disks."""

    def __init__(
        self, owner: EventWriter, key: bytes, event: CallEvent, replicas: int, done: Done
    ) -> None:
        self.timer: asyncio.TimerHandle | None = None
        self._owner = owner
        self._key = key
        self._event = event
        self.fanout: Fanout | None = None
        self._votes = Votes(owner.write_quorum, replicas)
        self._done: Done | None = done
        self._journal = ""
        """Empty, `asked` or `kept`."""

    def committed(self, error: StorageError | None) -> None:
        """This node's own commit, as a replica."""
        if error is not None and self.fanout is not None:
            self.fanout.one_more()
        self._vote(error is None)

    def answered(self, reply: Reply) -> None:
        """Another replica's."""
        self._vote(isinstance(reply, Stored))

    def to_journal(self) -> None:
        """W disks cannot be had, or not in time."""
        if self._done is None or self._journal:
            return
        self._journal = "asked"
        self._owner.journal(self._key, self._event, self._journalled)

    def _vote(self, yes: bool) -> None:
        if yes:
            self._votes.yes += 1
        else:
            self._votes.no += 1
        outcome = self._votes.outcome
        if outcome is Outcome.WON:
            if self.fanout is not None:
                self.fanout.finish()
                self.fanout = None
            if self._journal == "kept":
                self._journal = "done"
                self._owner.journal_done(self._event.event_id)
            self._finish(QUORUM, "")
        elif outcome is Outcome.LOST:
            self.to_journal()

    def _journalled(self, level: str, reason: str) -> None:
        if level:
            self._journal = "kept"
            if self._votes.outcome is Outcome.WON:
                self._journal = "done"
                self._owner.journal_done(self._event.event_id)
            else:
                self._owner.farm_changed()
        self._finish(level, reason)

    def _finish(self, level: str, reason: str) -> None:
        done, self._done = self._done, None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if done is not None:
            if not level:
                self._owner.gave_up(self._event.event_id)
            done(level, reason)


def _belongs(body: bytes, key: bytes) -> bool:
    """Whether a peer, or a disk, has sent an event of this call."""
    try:
        return key_of(RecordKind.CALL, call.decode(body).call_id) == key
    except (msgspec.MsgspecError, ValueError):
        return False


def merge_bodies(bodies: list[bytes]) -> CallEvents:
    """The events of all copies."""
    return call.merge((call.decode(body) for body in bodies), ())
