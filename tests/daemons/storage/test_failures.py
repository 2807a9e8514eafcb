"""A node whose device fails acknowledges nothing; it puts a broken file aside, and goes on."""

import asyncio
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path

import pytest

from overlay.base.errors import DeviceError, StorageError
from overlay.control import operator_messages
from overlay.daemon.parts import now_ms
from overlay.records.names import RecordKind, key_of
from overlay.storage import salvage
from overlay.storage.bindings import Bindings
from overlay.storage.bindings_database import BindingsDatabase
from overlay.storage.committer import Committer
from overlay.storage.damage import Damage
from overlay.storage.database import RecordsDatabase
from overlay.storage.outbox import Sinks
from overlay.storage.records_disk import RecordsDisk
from overlay.storage.rows import EventRow, JournalDone
from tests.daemons.farm_of_nodes import Farm, play
from tests.daemons.storage.failing_device import failing_device
from tests.proxy_requests import start_event, stop_event
from tests.waiting import until

CALLS = 3_000
PAGE = 4_096


def row(number: int, journal: bool | None = None) -> EventRow:
    key = sha1(b"%d" % number).digest()
    return EventRow(
        call_key=key, event_id=key, time_us=number, body=b"%05d" % number * 60, journal=journal
    )


def keys(database: RecordsDatabase) -> set[int]:
    found: set[int] = set()
    after = b""
    while page := database.call_keys_after(after, 500):
        found.update(int(body[:5]) for key in page for body in database.events(key))
        after = page[-1]
    return found


def fill(directory: Path) -> Path:
    database = RecordsDatabase(directory)
    database.commit([Sinks(names=("csv",))])
    database.commit([row(number, journal=number % 100 == 0 or None) for number in range(CALLS)])
    database.close()
    return directory / "records.db"


def spoil(path: Path, first: int, last: int) -> None:
    """Overwrite pages, counted from 0."""
    with path.open("r+b") as file:
        file.seek(first * PAGE)
        file.write(b"\xa5" * PAGE * (last - first))


def aside(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("records.db.corrupt-*")]


@pytest.mark.parametrize("what", ["sync", "write"])
def test_after_a_failed_sync_nothing_is_acknowledged_and_all_goes_on(
    tmp_path: Path, what: str
) -> None:
    async def scenario() -> None:
        with failing_device() as device:
            committer = Committer(RecordsDisk(tmp_path, Damage(), device.name))
            await committer.commit_wait(row(1))
            device.failing = {what}
            for number in (2, 3):
                with pytest.raises(DeviceError, match="IOError"):
                    await committer.commit_wait(row(number))
            assert "IOError" in committer.last_error
            device.failing = set()
            await committer.commit_wait(row(4))
            assert committer.last_error == ""
            found = await committer.read(keys)
            assert {1, 4} <= found
            # What the file is said to have was written out anew before anything was acknowledged.
            wal = tmp_path / "records.db-wal"
            assert wal.stat().st_size < 20 * PAGE
            await committer.stop()

    asyncio.run(scenario())


def test_the_log_is_written_out_anew_after_a_failed_sync(tmp_path: Path) -> None:
    async def scenario() -> None:
        with failing_device() as device:
            disk = RecordsDisk(tmp_path, Damage(), device.name)
            committer = Committer(disk)
            device.failing = {"sync"}
            with pytest.raises(StorageError):
                await committer.commit_wait(row(2))
            device.failing = set()
            opened = disk._database
            before = device.synced
            await committer.read(lambda db: db.count_calls())
            await committer.commit_wait(JournalDone(event_id=b"-"))
            assert disk._database is not opened
            assert device.synced >= before + 2
            await committer.stop()

    asyncio.run(scenario())


def test_a_read_that_fails_once_is_asked_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        with failing_device() as device:
            disk = RecordsDisk(tmp_path, Damage(), device.name)
            committer = Committer(disk)
            await committer.commit_wait(row(1))

            def fails_once(database: RecordsDatabase) -> int:
                if database is first:
                    raise DeviceError("IOError: the device failed")
                return database.count_calls()

            first = disk._reader
            assert await committer.read(fails_once) == 1
            await committer.stop()

    asyncio.run(scenario())


def _middle(path: Path) -> None:
    pages = path.stat().st_size // PAGE
    spoil(path, pages // 2, pages // 2 + 2)


def _header(path: Path) -> None:
    spoil(path, 0, 1)


def _end_cut_off(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)


@pytest.mark.parametrize(
    ("how", "kept"), [(_middle, CALLS - 60), (_header, CALLS - 20), (_end_cut_off, CALLS // 2)]
)
def test_a_broken_file_is_set_aside_and_what_can_be_read_is_kept(
    tmp_path: Path, how: Callable[[Path], None], kept: int
) -> None:
    async def scenario() -> None:
        how(fill(tmp_path))
        damage = Damage()
        committer = Committer(RecordsDisk(tmp_path, damage))
        found = await committer.read(keys)
        if not damage.files:
            # Only a write, or another read, meets what is broken.
            await asyncio.gather(
                *(committer.commit_wait(row(number)) for number in range(CALLS, CALLS + 10)),
                return_exceptions=True,
            )
            found = await committer.read(keys)
        assert len(damage.files) == 1
        assert aside(tmp_path)
        assert "set aside" in damage.describe()
        assert len(found) >= kept
        await committer.commit_wait(row(9_999))
        assert 9_999 in await committer.read(keys)
        await committer.stop()
        # It says so until somebody has looked at it.
        again = Damage()
        again.look_for_files(tmp_path)
        assert again.files == damage.files

    asyncio.run(scenario())


def test_a_file_that_breaks_while_it_is_used_loses_no_commit(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = fill(tmp_path)
        damage = Damage()
        committer = Committer(RecordsDisk(tmp_path, damage))
        await committer.commit_wait(Sinks(names=("csv",)))
        _middle(path)
        for number in range(CALLS, CALLS + 50):
            await committer.commit_wait(row(number))
        found = await committer.read(keys)
        assert damage.files
        assert found >= set(range(CALLS, CALLS + 50))
        assert len(found) >= CALLS - 60
        assert committer.last_error == ""
        # Every call is due again: the marks among its events say whether a sink has it.
        assert await committer.read(lambda db: db.outbox_backlog("csv", 1)) == len(found)
        assert await committer.read(lambda db: db.journal_depth()) >= CALLS // 100 - 1
        await committer.stop()

    asyncio.run(scenario())


def test_a_crash_amid_the_salvage_costs_nothing(tmp_path: Path) -> None:
    path = fill(tmp_path)
    # Between the two renames: the old file has its new name, the new one not yet.
    path.rename(tmp_path / "records.db.new")
    (tmp_path / "records.db-wal").write_bytes(b"of the broken file")
    salvage.finish(path)
    database = RecordsDatabase(tmp_path)
    assert len(keys(database)) == CALLS
    database.close()
    # Before them: the new file is begun anew.
    (tmp_path / "records.db.new").write_bytes(b"incomplete")
    salvage.finish(path)
    assert (tmp_path / "records.db.new").exists()


def test_bindings_are_written_again_from_memory_when_their_file_broke(tmp_path: Path) -> None:
    async def scenario() -> None:
        bindings = Bindings(BindingsDatabase(tmp_path), now_ms)
        records = {sha1(b"%d" % number).digest(): b"\x90" * 200 for number in range(1_000)}
        for key, body in records.items():
            bindings.put(key, body)
        await bindings.stop()
        _middle(tmp_path / "bindings.db")
        bindings = Bindings(BindingsDatabase(tmp_path), now_ms)
        assert 0 < len(bindings) < 1_000
        for key, body in records.items():
            bindings.put(key, body)
        await bindings._flush()
        (path,) = tmp_path.glob("bindings.db")
        _middle(path)
        for key in records:
            bindings.put(key, b"\x91")
        while bindings._dirty:
            await bindings._flush()
        await bindings.stop()
        again = BindingsDatabase(tmp_path)
        assert len(again.load()) == 1_000
        again.close()

    asyncio.run(scenario())


def test_a_node_with_a_broken_file_gets_back_what_it_had(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1", "n2", "n3")
        await farm.joined()
        for event in (start_event("call-1"), stop_event("call-1")):
            await farm.ask("n1", event)
        data = tmp_path / "n2" / "data"
        await farm.stop("n2")
        spoil(data / "records.db", 0, 1)
        await farm.start("n2")
        await farm.joined()
        node = farm.nodes["n2"]
        key = key_of(RecordKind.CALL, "call-1")
        reader = RecordsDatabase(data)
        await until(lambda: len(reader.events(key)) == 2, what="n2 has both events again")
        reader.close()
        status = await farm.ask("n1", operator_messages.GetStatus())
        (told,) = (each for each in status.nodes if each.name == "n2")
        assert told.disk == f"{node.committer.damage.files[0]} is set aside"

    play(tmp_path, story)
