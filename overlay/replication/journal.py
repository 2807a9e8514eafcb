"""Call events that fewer than W disks took: this node's disk keeps them until enough replicas do.

In: events whose quorum was lost or slow. Out: the events on their replicas, a batch at a time, as
soon as enough replicas can be reached. Counterparts: `events.py` decides which events come here;
`storage/database.py` keeps a note with each event, which outlives the daemon.
"""

import asyncio
import logging

import msgspec

from overlay.base import tasks
from overlay.base.errors import SipfarmError, StorageError
from overlay.base.limits import UNPROVEN_NAMED_MAX
from overlay.links.record_messages import Store, Stored
from overlay.records import call
from overlay.records.call import CallEvent, Level
from overlay.records.draining import Missing
from overlay.records.names import RecordKind, key_of
from overlay.replication.replicas import Replicas
from overlay.storage.committer import Committed, Committer
from overlay.storage.rows import JournalDone, event_row

log = logging.getLogger(__name__)

FLUSH_S = 1.0
FLUSH_EVENTS = 200
FLUSH_TIMEOUT_S = 2.0


class Journal:
    """The journal of one node."""

    def __init__(self, replicas: Replicas, committer: Committer) -> None:
        self._replicas = replicas
        self._committer = committer
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.depth = 0
        """The number of events in the journal."""
        self.waiting: tuple[Missing, ...] = ()
        """Some of these events, each with the nodes that did not take it."""

    def start(self) -> None:
        """Begin to bring the events to their replicas."""
        self._wake.set()
        self._task = asyncio.create_task(self._keep_flushing(), name="journal")

    async def stop(self) -> None:
        """End the task. Events in the journal stay there for the next start."""
        await tasks.end([self._task])

    def wake(self) -> None:
        """Try again, as an event came, or a peer that may take one."""
        self._wake.set()

    def keep(self, key: bytes, event: CallEvent, committed: Committed) -> None:
        """Put the event on this node's disk, and note that it has to reach others.

        The stored event states that it was journalled, so it is encoded again.
        """
        event = msgspec.structs.replace(event, level=Level.JOURNAL)

        def done(error: StorageError | None) -> None:
            if error is None:
                self.depth += 1
            committed(error)

        self._committer.commit(event_row(key, event, call.encode(event), journal=True), done)

    def settled(self, event_id: bytes) -> None:
        """Remove the note: the event is on W disks after all."""

        def committed(error: StorageError | None) -> None:
            if error is None:
                self.depth = max(0, self.depth - 1)
            else:
                # The note stays until the next flush removes it.
                self._wake.set()

        self._committer.commit(JournalDone(event_id=event_id), committed)

    # inner workings

    async def _keep_flushing(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            before, known = self.depth, True
            try:
                rows = await self._committer.read(lambda db: db.journal(FLUSH_EVENTS))
                kept = await asyncio.gather(
                    *(self._flush(event_id, body) for event_id, body in rows)
                )
                self.waiting = tuple(each for each in kept if each)[:UNPROVEN_NAMED_MAX]
                self.depth = await self._committer.read(lambda db: db.journal_depth())
            except SipfarmError as error:
                log.error("the journal cannot be emptied: %s", error)
                known = False
            if self.depth or not known:
                if self.depth >= before:
                    await asyncio.sleep(FLUSH_S)
                self._wake.set()

    async def _flush(self, event_id: bytes, body: bytes) -> Missing | None:
        """Bring one event to its replicas; if too few took it, the nodes that did not."""
        event = call.decode(body)
        key = key_of(RecordKind.CALL, event.call_id)
        nodes = await self._replicas.placement.find(key, FLUSH_TIMEOUT_S)
        store = Store(kind=RecordKind.CALL, key=key, body=body)
        others = self._replicas.others(nodes)
        asked = (self._replicas.ask(node, store, FLUSH_TIMEOUT_S) for node in others)
        replies = await asyncio.gather(*asked)
        disks = sum(isinstance(reply, Stored) for reply in replies) + (len(others) < len(nodes))
        if disks >= self._replicas.write_quorum:
            await self._committer.commit_wait(JournalDone(event_id=event_id))
            return None
        refused = (
            node.name
            for node, reply in zip(others, replies, strict=True)
            if not isinstance(reply, Stored)
        )
        return Missing(kind=event.kind.name, name=event.call_id, key=key, peers=tuple(refused))
