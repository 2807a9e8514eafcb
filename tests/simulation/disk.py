"""Simulates a host's disk: real SQL and the real log of events in memory, with a disk's time and
faults.

In: commits and questions of one process. Out: outcomes after virtual time. Counterpart:
`overlay.storage.records_disk.RecordsDisk`, which this replaces.

A commit is whole or absent. A commit that was under way when the process died is one or the other,
by chance. The bytes that a process wrote into the log outlive the process, but not a power cut.
After one, each sector that was not synced has its old or its new content, by chance. A disk that
lies acknowledges commits and syncs while they are in its cache alone. After a power cut, only the
first of those are there.
"""

import errno
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from overlay.base.errors import DeviceError, StorageError
from overlay.records import subscriber
from overlay.storage.bindings_database import BindingsDatabase
from overlay.storage.committer import Committed
from overlay.storage.damage import Damage
from overlay.storage.database import RecordsDatabase
from overlay.storage.event_log import EventLog, LogFile
from overlay.storage.rows import Row
from overlay.storage.settling import Settling, take_in
from overlay.storage.syncing import Synced
from tests.simulation.clock import VirtualLoop

T = TypeVar("T")

SYNCS_FAIL: Final = 0.5
"""Share of the syncs and commits that fail while a device fails."""
LOG_BYTES: Final = 16 << 10
"""What the files of a log have from the start; some grow beyond it."""
SECTOR_BYTES: Final = 512


@dataclass(frozen=True, kw_only=True)
class Image:
    """What a disk has."""

    records: bytes
    logs: tuple[bytes, bytes]


class Disk:
    """What survives the processes of a host."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.has_log = chance.random() < 0.8
        """In the others' kernels nobody syncs by himself."""
        self.failing = False
        self.full = False
        self.slow_s = 0.0
        self.generation = 0
        self.damage = Damage()
        self.rotted: set[bytes] = set()
        """Ids of events whose copy here was spoiled, or lost after the disk had promised it."""
        self._safe_once: set[bytes] = set()
        self.report: Callable[[str], None] = lambda _: None
        """Given what went wrong here."""
        self.broken_promises: set[tuple[str, int]] = set()
        """Subscribers and versions that were lost after the disk had promised them."""
        self._promised: list[Image] = []
        """While it lies: what is really there, and after each commit or sync since."""
        self.logs = SurvivingLog(self), SurvivingLog(self)
        self.records: SurvivingRecords
        self.bindings: SurvivingBindings
        self._make()

    def _make(self) -> None:
        self._safe_once.clear()
        for log in self.logs:
            log.destroy()
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

        for log in self.logs:
            if log.safe and chance.random() < 0.5:
                before = self._logged()
                at = chance.randrange(len(log.safe))
                log.flip(at, 1 << chance.randrange(8))
                self.rotted |= before - self._logged()

    def lie(self) -> None:
        """From now on, say that commits and syncs are safe that are not."""
        self._promised = [self._image()]

    def flush(self) -> None:
        """All that was promised is there."""
        self._promised = []

    def committed(self) -> None:
        """A commit or a sync was made."""
        if self._promised:
            self._promised.append(self._image())

    def lose_power(self, chance: random.Random) -> None:
        """What was not synced may be gone; what was in the cache of a disk that lied is, from some
        commit or sync on."""
        if not self._promised:
            for log in self.logs:
                log.lose_power(chance)
            return
        events, subscribers = self._event_ids(), self.subscribers()
        image = chance.choice(self._promised)
        self.records._connection.deserialize("main", image.records)
        for log, safe in zip(self.logs, image.logs, strict=True):
            log.safe = safe
            log.lose_power(chance)
        self.rotted |= events - self._event_ids()
        self.broken_promises |= subscribers - self.subscribers()
        self._promised = []

    def subscribers(self) -> set[tuple[str, int]]:
        """Names and versions that are there."""
        rows = self.records._connection.execute("SELECT body FROM subscribers")
        records = [subscriber.decode(bytes(body)) for (body,) in rows]
        return {(record.aor, record.version) for record in records}

    def check(self) -> None:
        """Raises `StorageError` when nothing can be written."""
        if self.full:
            raise StorageError("FullError: database or disk is full")
        self.check_sync()

    def check_room(self) -> None:
        """Raises `OSError` when the log cannot grow, or be synced."""
        try:
            self.check()
        except StorageError as error:
            raise OSError(errno.ENOSPC, str(error)) from error

    def check_sync(self) -> None:
        """Raises `DeviceError` when nobody knows what is there."""
        if self.failing and self._chance.random() < SYNCS_FAIL:
            raise DeviceError("fdatasync: input/output error")

    def has_event(self, call_key: bytes, event_id: bytes) -> bool:
        """Whether the event is safe here; from then on it has to be."""
        connection = self.records._connection
        rows = connection.execute(
            "SELECT 1 FROM events WHERE call_key = ? AND event_id = ?", (call_key, event_id)
        )
        found = next(rows, None) is not None or event_id in self._logged()
        if found:
            self._safe_once.add(event_id)
        return found

    def check_settled(self, ids: set[bytes] | None = None) -> None:
        """The database has to have these events by now, or all: those that were safe here, while
        the disk is the same and has not lied, nor rotted."""
        wanted = self._safe_once if ids is None else self._safe_once & ids
        if wanted and (lost := wanted - self._settled_ids() - self.rotted):
            self.report(f"{len(lost)} events are lost that were safe on a disk")

    def _image(self) -> Image:
        one, other = self.logs
        records = bytes(self.records._connection.serialize("main"))
        return Image(records=records, logs=(one.safe, other.safe))

    def _event_ids(self) -> set[bytes]:
        return self._settled_ids() | self._logged()

    def _settled_ids(self) -> set[bytes]:
        return {row[0] for row in self.records._connection.execute("SELECT event_id FROM events")}

    def _logged(self) -> set[bytes]:
        """Ids of the events that the log would give back."""
        return set(_events_of(*(log.safe for log in self.logs)))


@lru_cache(maxsize=64)
def _events_of(*contents: bytes) -> frozenset[bytes]:
    """Ids of the events that files with this content give back."""
    return frozenset(row.event_id for row in EventLog([*map(_Copy, contents)]).recover())


class _Copy:
    """To look into."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def fileno(self) -> int:
        raise OSError(errno.EBADF, "this file is in memory")

    def read(self) -> bytes:
        return self.content

    def write(self, data: bytes, at: int) -> None:
        self.content = self.content[:at].ljust(at, b"\0") + data + self.content[at + len(data) :]

    def cut(self, size: int) -> None:
        self.content = self.content[:size]

    def reserve(self, data: bytes) -> None:
        self.content = data

    def set_aside(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass


class SurvivingLog(_Copy):
    """Stays when a process closes it: `content` is what processes see, `safe` what is on disk."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(b"")
        self.safe = b""
        self.version = 0
        """Of `content`;"""
        self._safe_version = 0
        """of `safe`."""
        self._disk = disk

    def destroy(self) -> None:
        """Another disk has nothing of it, nor of what was being synced."""
        self.content = self.safe = b""
        self._changed_for_good()

    def write(self, data: bytes, at: int) -> None:
        if self._disk.full and at + len(data) > len(self.content):
            raise OSError(errno.ENOSPC, "no space left on device")
        with self._changing():
            super().write(data, at)

    def cut(self, size: int) -> None:
        with self._changing():
            super().cut(size)

    def reserve(self, data: bytes) -> None:
        self._disk.check_room()
        with self._changing():
            super().reserve(data)
        self.synced(self.version, self.content)

    def synced(self, version: int, content: bytes) -> None:
        """A sync has come to its end that was asked for when the file had this content."""
        if version > self._safe_version:
            self.safe, self._safe_version = content, version
        self._disk.committed()

    def lose_power(self, chance: random.Random) -> None:
        """Each sector that was not synced has what it had, or what was written."""
        content, safe = self.content, self.safe
        if content != safe:
            share = chance.choice((0.0, 0.5, 1.0))
            size = len(chance.choice((content, safe)))
            sectors = (slice(at, at + SECTOR_BYTES) for at in range(0, size, SECTOR_BYTES))
            pieces = ((content if chance.random() < share else safe)[each] for each in sectors)
            self.safe = b"".join(piece.ljust(SECTOR_BYTES, b"\0") for piece in pieces)[:size]
        self.content = self.safe
        self._changed_for_good()

    def flip(self, at: int, bit: int) -> None:
        """One bit of what is on disk, and in every copy of it."""
        spoiled = bytes([self.safe[at] ^ bit])
        if self.content[at : at + 1] == self.safe[at : at + 1]:
            super().write(spoiled, at)
        self.safe = self.safe[:at] + spoiled + self.safe[at + 1 :]

    def _changed_for_good(self) -> None:
        """A sync that is under way comes too late."""
        self.version += 1
        self._safe_version = self.version

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """What it does not give back any more has to be in the database."""
        before = _events_of(self.content)
        yield
        self.version += 1
        self._disk.check_settled({*before - _events_of(self.content)})


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


class _Kernel:
    """Syncs files by itself, and tells the process that asked for it."""

    def __init__(self, disk: Disk, loop: VirtualLoop, chance: random.Random) -> None:
        self._disk = disk
        self._loop = loop
        self._chance = chance

    def sync(self, file: LogFile, synced: Synced) -> None:
        """The file's bytes of now are safe a moment later."""
        assert isinstance(file, SurvivingLog)
        delay_s = self._disk.slow_s + self._chance.uniform(0.0002, 0.004)
        self._loop.call_later(delay_s, self._synced, file, file.version, file.content, synced)

    def close(self) -> None:
        pass

    def _synced(self, file: SurvivingLog, version: int, content: bytes, synced: Synced) -> None:
        try:
            self._disk.check_sync()
        except DeviceError as error:
            synced(error)
            return
        file.synced(version, content)
        synced(None)


class ProcessDisk:
    """One process' use of its host's disk; raises `StorageError` when it cannot be used."""

    def __init__(self, disk: Disk, loop: VirtualLoop, chance: random.Random) -> None:
        self.damage = disk.damage
        self._disk = disk
        self._loop = loop
        self._chance = chance
        self._under_way: list[Row] = []
        event_log = EventLog(disk.logs, LOG_BYTES)
        try:
            take_in(event_log, disk.records.commit)
        except OSError as error:
            raise StorageError(f"log of call events: {error}") from error
        disk.report = loop.problems.append
        disk.check_settled()
        self._settling: Settling | None = None
        if disk.has_log:
            kernel = _Kernel(disk, loop, chance)
            self._settling = Settling(event_log, kernel, self._commit_later)

    @property
    def last_error(self) -> str:
        return self._settling.last_error if self._settling is not None else ""

    def commit(self, rows: list[Row], finished: Committed) -> None:
        if self._settling is None:
            self._commit_later(rows, finished)
        else:
            self._settling.commit(rows, finished)

    async def read(self, question: Callable[[RecordsDatabase], T]) -> T:
        if self._settling is not None:
            await self._settling.wait()
        return await self._loop.run_in_executor(None, question, self._disk.records)

    async def close(self) -> None:
        if self._settling is not None:
            with suppress(StorageError):
                await self._settling.wait()
            self._settling.close()

    def crash(self) -> None:
        """The process died; what it was writing may be there or not."""
        if self._under_way and self._chance.random() < 0.5:
            self._write(self._under_way)
        self._under_way = []

    # inner workings

    def _commit_later(self, rows: list[Row], finished: Committed) -> None:
        assert not self._under_way
        self._under_way = rows
        delay_s = self._disk.slow_s + self._chance.uniform(0.0005, 0.006)
        self._loop.call_later(delay_s, self._commit, rows, finished)

    def _commit(self, rows: list[Row], finished: Committed) -> None:
        self._under_way = []
        finished(self._write(rows))

    def _write(self, rows: list[Row]) -> StorageError | None:
        try:
            self._disk.records.commit(rows)
        except StorageError as error:
            return error
        return None
