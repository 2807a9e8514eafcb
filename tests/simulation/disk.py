"""A simulated host's disk: real SQL on a database in memory, with a disk's time and faults.

In: commits and questions of one process. Out: outcomes after virtual time. Counterpart:
`overlay.storage.committer.RecordsDisk`, in whose place this stands.

A commit is whole or absent. One that was under way when the process died is either, by chance. A
disk that lies says that a commit is safe while it is in its cache alone: when the power goes, only
the first of those commits are there.
"""

import random
from collections.abc import Callable, Iterable
from typing import TypeVar

from overlay.errors import StorageError
from overlay.records import subscriber
from overlay.storage.bindings_database import BindingsDatabase
from overlay.storage.damage import Damage
from overlay.storage.database import RecordsDatabase
from overlay.storage.rows import Row
from tests.simulation.clock import VirtualLoop

T = TypeVar("T")


class Disk:
    """What survives the processes of a host."""

    def __init__(self) -> None:
        self.full = False
        self.slow_s = 0.0
        self.generation = 0
        self.damage = Damage()
        self.rotted: set[bytes] = set()
        """Ids of events whose copy here was spoiled, or lost after the disk had promised it."""
        self.broken_promises: set[tuple[str, int]] = set()
        """Subscribers and versions that were lost after the disk had promised them."""
        self._promised: list[bytes] = []
        """While it lies: what is really there, and after each commit since."""
        self.records: SurvivingRecords
        self.bindings: SurvivingBindings
        self._make()

    def _make(self) -> None:
        self.records = SurvivingRecords(self)
        self.bindings = SurvivingBindings(self)

    def destroy(self) -> None:
        """All is lost; a new disk takes its place."""
        self.remove()
        self.generation += 1
        self._make()

    def remove(self) -> None:
        """Nobody needs it any more."""
        RecordsDatabase.close(self.records)
        BindingsDatabase.close(self.bindings)

    def rot(self, chance: random.Random) -> None:
        """Some rows are not as they were written any more; nobody is told."""
        connection = self.records._connection
        rows = list(connection.execute("SELECT call_key, event_id, body FROM events"))
        for call_key, event_id, body in chance.sample(rows, min(3, len(rows))):
            at = chance.randrange(len(body))
            spoiled = body[:at] + bytes([body[at] ^ 1 << chance.randrange(8)]) + body[at + 1 :]
            connection.execute(
                "UPDATE events SET body = ? WHERE call_key = ? AND event_id = ?",
                (spoiled, call_key, event_id),
            )
            self.rotted.add(event_id)

    def lie(self) -> None:
        """From now on, say that commits are safe that are not."""
        self._promised = [self._image()]

    def flush(self) -> None:
        """All that was promised is there."""
        self._promised = []

    def committed(self) -> None:
        """A commit was made."""
        if self._promised:
            self._promised.append(self._image())

    def lose_power(self, chance: random.Random) -> None:
        """What was in its cache is gone, from some commit on."""
        if not self._promised:
            return
        events, subscribers = self._event_ids(), self.subscribers()
        self.records._connection.deserialize("main", chance.choice(self._promised))
        self.rotted |= events - self._event_ids()
        self.broken_promises |= subscribers - self.subscribers()
        self._promised = []

    def subscribers(self) -> set[tuple[str, int]]:
        """Names and versions that are there."""
        rows = self.records._connection.execute("SELECT body FROM subscribers")
        records = [subscriber.decode(bytes(body)) for (body,) in rows]
        return {(record.aor, record.version) for record in records}

    def _image(self) -> bytes:
        return bytes(self.records._connection.serialize("main"))

    def _event_ids(self) -> set[bytes]:
        return {row[0] for row in self.records._connection.execute("SELECT event_id FROM events")}

    def check(self) -> None:
        """Raises `StorageError` when nothing can be written."""
        if self.full:
            raise StorageError("FullError: database or disk is full")

    def has_event(self, call_key: bytes, event_id: bytes) -> bool:
        """Whether the event is safe here."""
        connection = self.records._connection
        rows = connection.execute(
            "SELECT 1 FROM events WHERE call_key = ? AND event_id = ?", (call_key, event_id)
        )
        return next(rows, None) is not None


class SurvivingRecords(RecordsDatabase):
    """Stays when a process closes it."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(None, disk.damage)
        self._disk = disk

    def close(self) -> None:
        pass

    def commit(self, rows: Iterable[Row]) -> None:
        self._disk.check()
        super().commit(rows)
        self._disk.committed()


class SurvivingBindings(BindingsDatabase):
    """Stays when a process closes it."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(None, disk.damage)
        self._disk = disk

    def close(self) -> None:
        pass

    def write(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        self._disk.check()
        super().write(records)


class ProcessDisk:
    """One process' use of its host's disk."""

    def __init__(self, disk: Disk, loop: VirtualLoop, chance: random.Random) -> None:
        self.damage = disk.damage
        self.last_error = ""
        self._disk = disk
        self._loop = loop
        self._chance = chance
        self._under_way: list[Row] = []

    def commit(self, rows: list[Row], finished: Callable[[StorageError | None], None]) -> None:
        self._under_way = rows
        delay_s = self._disk.slow_s + self._chance.uniform(0.0005, 0.006)
        self._loop.call_later(delay_s, self._commit, rows, finished)

    async def read(self, question: Callable[[RecordsDatabase], T]) -> T:
        return await self._loop.run_in_executor(None, question, self._disk.records)

    async def close(self) -> None:
        pass

    def crash(self) -> None:
        """The process died; what it was writing may be there or not."""
        if self._under_way and self._chance.random() < 0.5:
            self._write(self._under_way)
        self._under_way = []

    def _commit(self, rows: list[Row], finished: Callable[[StorageError | None], None]) -> None:
        self._under_way = []
        finished(self._write(rows))

    def _write(self, rows: list[Row]) -> StorageError | None:
        try:
            self._disk.records.commit(rows)
        except StorageError as error:
            return error
        return None
