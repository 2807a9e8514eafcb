"""Brings every billing record to every sink, at least once, from one node at a time.

In: entries of the node's outbox, one for each pair of a call and a sink that lacks it. Out: rows in
the sinks. Once a sink has taken a record, a mark among the call's events says so. Counterparts:
`storage/outbox.py`, which gets an entry with every event; the other nodes' exporters.

    entry due ─► sink's mark there? ──────────────────────yes─► entry gone
                  └no─► record final? ─no─► look again when an event comes
                         └yes─► first replica? ─no─► look again in AGAIN_S: it may have died
                                 └yes─► sink takes it ─► mark, on this disk and to the replicas

The nearest live replica of a call exports the call. If it dies, the next replica is the nearest,
and knows by the marks what was exported: marks are replicated and repaired like all events. If a
mark dies with its node, the sink gets the row again, with the same id.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from overlay.base import tasks
from overlay.base.errors import SipfarmError
from overlay.billing.columns import FINAL_STATES, BilledRow, row_of
from overlay.billing.sinks.sink import Sink
from overlay.observe.figures import Figure, Sample
from overlay.observe.metric_families import Family, Kind, Label, Unit
from overlay.observe.part import Part
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
"""Wait before a call that another replica should export is looked at again."""
OPEN_AGAIN_S: Final = 3_600.0
"""Wait before a call without its last event is looked at again. The event wakes it at once."""
SETTLE_S: Final = 2.0
"""Pause of the export after the farm changed. Two nodes that do not see each other yet would both
take themselves for the nearest."""
SETTLE_LONGEST_S: Final = 20.0
"""The longest such pause, however often the farm changes."""
RETRY_FIRST_S: Final = 1.0
RETRY_LONGEST_S: Final = 60.0

_SINKS_MAX: Final = 6
"""Two kinds of files, PostgreSQL, a webhook, Kafka; and room for one more."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A call that a sink lacks."""

    key: bytes
    call_id: str
    rows: tuple[BilledRow, ...]
    last_us: int
    """Time of its last event, Unix time."""


@dataclass(kw_only=True)
class Progress:
    """The progress of one sink."""

    taken: int = 0
    """Rows that the sink took since the start."""
    failures: int = 0
    backlog: int = 0
    oldest_us: int = 0
    """Time of the last event of the record that waits longest at this node; 0 if none waits."""
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
    """The event id of the mark that says that the sink has this revision of the record."""
    return event_id(EventKind.EXPORTED, row.callid, sink, row.id, str(row.revision))


def settled_as(entry: OutboxEntry, due_us: int) -> OutboxEntry:
    """The entry, to be looked at again at `due_us`; never if that is 0."""
    return msgspec.structs.replace(entry, due_us=due_us)


def _figure(
    name: str,
    text: str,
    value: Callable[[Progress], float],
    kind: Kind = Kind.GAUGE,
    unit: Unit = Unit.NONE,
) -> Figure:
    """A figure that has one series for each sink."""
    sink = Label(name="sink", text="where records are exported to", values_max=_SINKS_MAX)
    family = Family(name=f"sipfarm_export_{name}", kind=kind, text=text, unit=unit, labels=(sink,))

    def read(exporter: "Exporter") -> Iterator[Sample]:
        for name, progress in exporter.progress.items():
            yield (name,), value(progress)

    return Figure(family=family, read=read)


def _lag_s(progress: Progress) -> float:
    return time.time() - progress.oldest_us / 1e6 if progress.oldest_us else 0.0


@dataclass(kw_only=True)
class Exporter(Part):
    """The exporter of one node."""

    FIGURES = (
        _figure(
            "backlog_calls",
            "Calls that the sink may lack and this node has to look at",
            lambda progress: progress.backlog,
        ),
        _figure(
            "lag_seconds",
            "Since the last event of the call that waits the longest here for the sink; 0 if none "
            "waits",
            _lag_s,
            unit=Unit.SECONDS,
        ),
        _figure(
            "up",
            "Whether the sink took what it was last given",
            lambda progress: not progress.last_error,
        ),
        _figure(
            "rows_total", "Rows that the sink took", lambda progress: progress.taken, Kind.COUNTER
        ),
        _figure(
            "failures_total",
            "Failed tries at giving the sink rows",
            lambda progress: progress.failures,
            Kind.COUNTER,
        ),
    )

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
    """When the farm changed, on the loop's clock; 0 if it has settled since."""
    _tasks: list[asyncio.Task[None]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.progress = {sink.name: Progress() for sink in self.sinks}

    async def start(self) -> None:
        """Tell the storage which sinks there are, and begin to export."""
        self._tasks = [asyncio.create_task(self._begin(), name="export")]

    async def stop(self) -> None:
        """End the tasks and finish what is open."""
        await tasks.end(self._tasks)
        for sink in self.sinks:
            await sink.close()

    def settled(self) -> bool:
        """Whether the farm has stayed the same for long enough to tell which node is the
        nearest."""
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
        """Export one batch; the number of entries that it settled. Raises `SinkError` or
        `StorageError`."""
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
        # The marks bring the entries of their calls back, which are then settled, as on every node.
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
