"""Events are safe at once and settled later; no failure loses one, or acknowledges it falsely."""

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from overlay.base.errors import DeviceError, StorageError
from overlay.storage import settling as settling_module
from overlay.storage.committer import Committed, Committer
from overlay.storage.damage import Damage
from overlay.storage.event_log import EventLog, LogFile
from overlay.storage.log_file import open_files
from overlay.storage.records_disk import RecordsDisk
from overlay.storage.rows import EventRow, JournalDone, Row
from overlay.storage.settling import SETTLE_EVENTS, Settling
from tests.waiting import until

KEY = b"k" * 20


def row(number: int, **more: Any) -> EventRow:
    event_id = number.to_bytes(20, "big")
    return EventRow(call_key=KEY, event_id=event_id, time_us=number, body=b"%d" % number, **more)


class Scene:
    """A `Settling` whose device and database do as a test says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = EventLog(open_files(directory, Damage()))
        self.log.clear()
        self.syncs: list[tuple[LogFile, Callable[[DeviceError | None], None]]] = []
        self.submits = True
        self.commits: list[tuple[list[Row], Committed]] = []
        self.outcomes: list[StorageError | None] = []
        self.settling = Settling(self.log, self, self.commit)

    # The syncer

    def sync(self, file: LogFile, synced: Callable[[DeviceError | None], None]) -> None:
        if not self.submits:
            raise DeviceError("io_submit: no")
        self.syncs.append((file, synced))

    def close(self) -> None:
        pass

    # The database

    def commit(self, rows: list[Row], finished: Committed) -> None:
        self.commits.append((list(rows), finished))

    def database_takes(self, error: StorageError | None = None) -> list[int]:
        rows, finished = self.commits.pop(0)
        finished(error)
        return numbers(rows)

    # A committer

    def write(self, *wanted: int, error: DeviceError | None = None) -> None:
        """A batch, synced at once."""
        self.begin(*wanted)
        self.syncs.pop()[1](error)

    def begin(self, *wanted: int) -> None:
        rows: list[Row] = [row(number) for number in wanted]
        assert self.settling.takes(rows)
        self.settling.commit(rows, self.outcomes.append)

    def wait(self) -> list[StorageError | None]:
        """Somebody who waits until all is settled; a list that gets what he is told."""
        told: list[StorageError | None] = []
        self.settling.when_settled(told.append)
        return told

    def on_disk(self) -> list[int]:
        return left_in_log(self.directory)


def left_in_log(directory: Path) -> list[int]:
    """What a process that starts now would find."""
    log = EventLog(open_files(directory, Damage()))
    found = numbers(log.recover())
    log.close()
    return found


def numbers(rows: list[Any]) -> list[int]:
    return [each.time_us for each in rows]


def play(directory: Path, story: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        scene = Scene(directory)
        await story(scene)
        scene.settling.close()

    asyncio.run(run())


def test_who_waits_is_told_when_the_database_has_all_that_was_acknowledged(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        assert scene.wait() == [None]
        scene.write(1)
        first = scene.wait()
        scene.write(2)
        second = scene.wait()
        assert (scene.outcomes, first, second) == ([None, None], [], [])
        assert scene.database_takes() == [1]
        assert (first, second) == ([None], [])
        assert scene.on_disk() == [2]
        assert scene.database_takes() == [2]
        assert second == [None]
        assert scene.on_disk() == []
        assert scene.settling.settled

    play(tmp_path, story)


def test_what_is_being_synced_is_not_emptied_away_with_what_is_settled(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.write(1)
        scene.begin(2)
        told = scene.wait()
        assert scene.commits == []
        scene.syncs.pop()[1](None)
        assert scene.database_takes() == [1, 2]
        assert told == [None]
        assert scene.on_disk() == []

    play(tmp_path, story)


def test_many_are_settled_at_once_and_few_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling_module, "SETTLE_S", 0.01)

    async def story(scene: Scene) -> None:
        scene.write(*range(SETTLE_EVENTS))
        assert scene.database_takes() == list(range(SETTLE_EVENTS))
        scene.write(1)
        assert scene.commits == []
        await until(lambda: bool(scene.commits), what="its time is over")
        assert scene.database_takes() == [1]

    play(tmp_path, story)


def test_a_database_that_refuses_is_asked_again_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling_module, "RETRY_S", 0.01)

    async def story(scene: Scene) -> None:
        scene.write(1)
        told = scene.wait()
        full = StorageError("full")
        assert scene.database_takes(full) == [1]
        assert told == [full]
        assert scene.settling.last_error == "full"
        scene.write(2)
        assert scene.on_disk() == [1, 2]
        await until(lambda: bool(scene.commits), what="it is asked again")
        assert scene.database_takes() == [1]
        assert scene.wait() == []
        assert scene.database_takes() == [2]
        assert scene.settling.settled
        assert scene.settling.last_error == ""

    play(tmp_path, story)


def test_what_waits_for_the_database_has_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling_module, "UNSETTLED_EVENTS_MAX", 3)

    async def story(scene: Scene) -> None:
        scene.write(1, 2)
        scene.begin(3, 4)
        await until(lambda: len(scene.outcomes) == 2, what="it is refused")
        assert "does not take" in str(scene.outcomes[1])
        scene.write(5)
        assert scene.on_disk() == [1, 2, 5]

    play(tmp_path, story)


def test_after_a_failed_sync_all_goes_to_the_database_until_the_file_is_empty(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        scene.write(1)
        failed = DeviceError("fdatasync: no")
        scene.write(2, error=failed)
        assert scene.outcomes == [None, failed]
        assert not scene.settling.takes([row(3)])
        assert scene.database_takes() == [1]
        assert scene.settling.takes([row(3)])
        assert scene.on_disk() == []
        scene.write(4, error=failed)
        # Nothing else was in the file; it is emptied all the same.
        assert scene.wait() == []
        assert scene.database_takes() == []
        assert scene.settling.takes([row(5)])

    play(tmp_path, story)


def test_a_sync_that_fails_while_the_other_file_is_settled_spoils_its_own_file_alone(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        scene.write(1)
        told = scene.wait()
        scene.write(2, error=DeviceError("fdatasync: no"))
        assert scene.database_takes() == [1]
        assert told == [None]
        # That was the other file; this one is still to be emptied.
        assert not scene.settling.takes([row(3)])
        assert scene.database_takes() == []
        assert scene.on_disk() == []
        assert scene.settling.takes([row(3)])

    play(tmp_path, story)


def test_what_the_log_does_not_take_goes_to_the_database(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.write(1)
        scene.submits = False
        scene.begin(2)
        assert scene.database_takes() == [1]
        assert scene.database_takes() == [2]
        assert scene.outcomes == [None, None]

    play(tmp_path, story)


def test_a_node_that_dies_before_it_settles_has_all_that_it_acknowledged(tmp_path: Path) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy"
    home.mkdir()

    async def scenario() -> None:
        committer = Committer(RecordsDisk(home, Damage()))
        await committer.commit_wait(row(1, journal=True))
        await committer.commit_wait(JournalDone(event_id=row(1).event_id))
        await committer.commit_wait(row(2, journal=True))
        assert left_in_log(home) == [2]
        # What a host has on its disk that loses its power now.
        shutil.copytree(home, copy)
        await committer.stop()
        assert left_in_log(home) == []
        again = Committer(RecordsDisk(copy, Damage()))
        assert await again.read(lambda db: db.events(KEY)) == (b"1", b"2")
        assert await again.read(lambda db: db.journal_depth()) == 1
        await again.stop()

    asyncio.run(scenario())


def test_readers_and_other_rows_find_what_was_acknowledged(tmp_path: Path) -> None:
    async def scenario() -> None:
        committer = Committer(RecordsDisk(tmp_path, Damage()))
        for number in range(1, 6):
            await committer.commit_wait(row(number, journal=True))
            assert await committer.read(lambda db: db.journal_depth()) == 1
            await committer.commit_wait(JournalDone(event_id=row(number).event_id))
            assert await committer.read(lambda db: db.journal_depth()) == 0
            assert len(await committer.read(lambda db: db.events(KEY))) == number
        await committer.stop()

    asyncio.run(scenario())


def test_where_the_kernel_syncs_for_nobody_the_database_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write() -> None:
        committer = Committer(RecordsDisk(tmp_path, Damage()))
        await committer.commit_wait(row(1))
        # Not settled, when the next one starts without a kernel that would help.
        shutil.copytree(tmp_path, tmp_path / "copy")
        await committer.stop()

    async def read() -> None:
        committer = Committer(RecordsDisk(tmp_path / "copy", Damage()))
        await committer.commit_wait(row(2))
        assert await committer.read(lambda db: db.events(KEY)) == (b"1", b"2")
        assert left_in_log(tmp_path / "copy") == []
        await committer.stop()

    asyncio.run(write())
    monkeypatch.setattr("overlay.storage.records_disk.open_syncer", lambda: None)
    asyncio.run(read())
