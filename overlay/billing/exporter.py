"""Brings every billing record to every sink, at least once, from one node at a time.

In: entries of the node's outbox, one for each sink that does not have a call yet. Out: rows in the
sinks; and, once a sink has taken a record, a mark among the call's events that says so.
Counterparts: `storage/outbox.py`, which gets an entry with every event; the other nodes' exporters.

    entry due ─► sink's mark there? ──────────────────────yes─► entry gone
                  └no─► record final? ─no─► look again when an event comes
                         └yes─► first replica? ─no─► look again in AGAIN_S: it may have died
                                 └yes─► sink takes it ─► mark, on this disk and to the replicas

The nearest live replica of a call exports it; when that dies, the next one is the nearest. What it
had exported, the next one knows by the marks, which are replicated and repaired as all events are.
A mark that died with its node means that the sink gets the row again, with the same id.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from overlay.base import tasks
from overlay.base.errors import SipfarmError
from overlay.billing.columns import FINAL_STATES, BilledRow, row_of
from overlay.billing.sinks.sink import Sink
from overlay.records import call
from overlay.records.assemble import assemble
from overlay.records.call import CallEvent, EventKind, event_id
from overlay.records.names import RecordKind
from overlay.replication.replicas import Replicas
from overlay.storage.committer import Committer
from overlay.storage.outbox import OutboxEntry, Sinks
from overlay.storage.rows import EventRow, event_row

log = logging.getLogger(__name__)

PAUSE_S: Final = 1.0
BATCH: Final = 200
"""Calls in one batch of a sink."""
AGAIN_S: Final = 20.0
"""After which another replica's calls are looked at again."""
OPEN_AGAIN_S: Final = 3_600.0
"""After which a call without its last event is looked at again; the event wakes it at once."""
SETTLE_S: Final = 2.0
"""After the farm changed, nothing is exported for so long: of two nodes that do not see each other
yet, each would take itself for the nearest."""
SETTLE_LONGEST_S: Final = 20.0
"""Not longer, however often the farm changes."""
RETRY_FIRST_S: Final = 1.0
RETRY_LONGEST_S: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A call that a sink lacks."""

    key: bytes
    call_id: str
    rows: tuple[BilledRow, ...]
    last_us: int
    """Its last event, Unix time."""


@dataclass(kw_only=True)
class Progress:
    """How one sink is served."""

    taken: int = 0
    """Rows, since the start."""
    failures: int = 0
    backlog: int = 0
    oldest_us: int = 0
    """The last event of the record that waits the longest at this node; 0 if none does."""
    last_error: str = ""


def unmarked(events: Sequence[CallEvent], sink: str) -> tuple[tuple[BilledRow, ...], bool]:
    """The rows that the sink has not taken yet, and whether all the call's records are final."""
    taken = {
        event.event_id
        for event in events
        if event.kind is EventKind.EXPORTED and event.from_tag == sink
    }
    records = assemble(events)
    rows = tuple(row_of(record) for record in records if record.state in FINAL_STATES)
    missing = tuple(row for row in rows if mark_id(row, sink) not in taken)
    return missing, len(rows) == len(records)


def mark_id(row: BilledRow, sink: str) -> bytes:
    """The event id of the mark that the sink has this revision of the record."""
    return event_id(EventKind.EXPORTED, row.callid, sink, row.id, str(row.revision))


def settled_as(entry: OutboxEntry, due_us: int) -> OutboxEntry:
    """The entry, to be looked at again at `due_us`, or, with 0, never."""
    return msgspec.structs.replace(entry, due_us=due_us)


@dataclass(kw_only=True)
class Exporter:
    """One node's."""

    node: str
    sinks: Sequence[Sink]
    replicas: Replicas
    committer: Committer
    tick: Callable[[], int]
    """The hybrid logical clock."""
    now_ms: Callable[[], int]
    chance: random.Random
    again_s: float = AGAIN_S
    progress: dict[str, Progress] = field(init=False)
    _epoch: int = -1
    _changed_s: float = 0.0
    _unsettled_s: float = 0.0
    """Since when, on the loop's clock; 0 when the farm has settled."""
    _tasks: list[asyncio.Task[None]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.progress = {sink.name: Progress() for sink in self.sinks}

    def start(self) -> None:
        """Tell the storage which sinks there are, and begin."""
        self._tasks = [asyncio.create_task(self._begin(), name="export")]

    async def stop(self) -> None:
        """End the tasks and finish what is open."""
        await tasks.end(self._tasks)
        for sink in self.sinks:
            await sink.close()

    def settled(self) -> bool:
        """Whether the farm has been the same for long enough to say which node is the nearest."""
        now_s = asyncio.get_running_loop().time()
        if (epoch := self.replicas.placement.epoch) != self._epoch:
            self._epoch = epoch
            self._changed_s = now_s
            self._unsettled_s = self._unsettled_s or now_s
        if now_s - self._changed_s < SETTLE_S and now_s - self._unsettled_s < SETTLE_LONGEST_S:
            return False
        self._unsettled_s = 0.0
        return True

    async def serve(self, sink: Sink) -> int:
        """One batch; how many entries it settled. Raises `SinkError` or `StorageError`."""
        name, now_us = sink.name, self.now_ms() * 1000
        progress = self.progress[name]
        due = await self.committer.read(lambda db: db.outbox_due(name, now_us, BATCH))
        settled: list[OutboxEntry] = []
        pending: list[Pending] = []
        for entry, bodies in due:
            events = call.readable(bodies)
            rows, final = unmarked(events, name)
            if not rows:
                again_us = 0 if final else now_us + int(OPEN_AGAIN_S * 1e6)
                settled.append(settled_as(entry, again_us))
            elif self.replicas.is_nearest(entry.call_key):
                pending.append(
                    Pending(
                        key=entry.call_key,
                        call_id=events[0].call_id,
                        rows=rows,
                        last_us=max(event.time_us for event in events),
                    )
                )
            else:
                settled.append(settled_as(entry, now_us + int(self.again_s * 1e6)))
        progress.oldest_us = min((each.last_us for each in pending), default=0)
        if pending:
            rows = tuple(row for each in pending for row in each.rows)
            await sink.take(rows)
            progress.taken += len(rows)
        marks = [mark for each in pending for mark in self._marks(name, each)]
        # The marks bring the entries of their calls again, to be settled then, as everywhere.
        done: list[OutboxEntry | EventRow] = [*settled, *marks]
        await asyncio.gather(*(self.committer.commit_wait(row) for row in done))
        for row in marks:
            self.replicas.bring_to_others(RecordKind.CALL, row.call_key, row.body)
        progress.backlog = await self.committer.read(lambda db: db.outbox_backlog(name, now_us))
        return len(settled) + len(pending)

    # inner workings

    async def _begin(self) -> None:
        while True:
            try:
                await self.committer.commit_wait(Sinks(names=tuple(self.progress)))
            except SipfarmError as error:
                log.error("the export cannot begin: %s", error)
                await asyncio.sleep(RETRY_LONGEST_S)
            else:
                break
        self._tasks += [
            asyncio.create_task(self._keep_serving(sink), name=f"export {sink.name}")
            for sink in self.sinks
        ]

    async def _keep_serving(self, sink: Sink) -> None:
        progress, tries = self.progress[sink.name], 0
        while True:
            try:
                await sink.tick()
                busy = self.settled() and await self.serve(sink) == BATCH
            except Exception as error:
                progress.failures += 1
                if not isinstance(error, SipfarmError):
                    log.exception("the export to %s failed", sink.name)
                elif str(error) != progress.last_error:
                    log.error("billing records do not reach %s: %s", sink.name, error)
                progress.last_error = str(error) or type(error).__name__
                longest_s = min(RETRY_FIRST_S * 2**tries, RETRY_LONGEST_S)
                tries = min(tries + 1, 10)
                await asyncio.sleep(longest_s * self.chance.uniform(0.5, 1.0))
                continue
            if progress.last_error:
                log.info("billing records reach %s again", sink.name)
            tries, progress.last_error = 0, ""
            if not busy:
                await asyncio.sleep(PAUSE_S)

    def _marks(self, sink: str, pending: Pending) -> list[EventRow]:
        now_us = self.now_ms() * 1000
        marks = [
            CallEvent(
                kind=EventKind.EXPORTED,
                event_id=mark_id(row, sink),
                call_id=pending.call_id,
                from_tag=sink,
                to_tag=row.id,
                time_us=now_us,
                node=self.node,
                changed=self.tick(),
            )
            for row in pending.rows
        ]
        return [event_row(pending.key, mark, call.encode(mark)) for mark in marks]
