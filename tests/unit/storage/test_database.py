"""Committed rows stay on disk, and a group commit answers every writer."""

import asyncio
from pathlib import Path

import pytest

from overlay.base.errors import StorageError
from overlay.daemon.parts import now_ms
from overlay.records.node_info import NodeInfo
from overlay.storage import bindings as bindings_module
from overlay.storage.bindings import Bindings
from overlay.storage.bindings_database import BindingsDatabase
from overlay.storage.committer import Committer
from overlay.storage.damage import Damage
from overlay.storage.database import RecordsDatabase
from overlay.storage.records_disk import RecordsDisk
from overlay.storage.rows import EventRow, JournalDone, Peers, SubscriberRow
from overlay.storage.space import Space
from tests.waiting import until

KEY = b"k" * 20


def row(event: int, time_us: int = 1, body: bytes = b"body", **more: object) -> EventRow:
    event_id = bytes([event]) * 20
    return EventRow(call_key=KEY, event_id=event_id, time_us=time_us, body=body, **more)  # type: ignore[arg-type]


def test_events_survive_closing(tmp_path: Path) -> None:
    database = RecordsDatabase(tmp_path)
    database.commit([row(1), row(2, body=b"two")])
    database.close()
    again = RecordsDatabase(tmp_path)
    assert again.events(KEY) == (b"body", b"two")
    again.close()


def test_of_two_versions_of_an_event_the_earlier_stays(tmp_path: Path) -> None:
    database = RecordsDatabase(tmp_path)
    database.commit([row(1, 5, b"five")])
    database.commit([row(1, 3, b"three")])
    database.commit([row(1, 4, b"four")])
    assert database.events(KEY) == (b"three",)
    database.close()


def test_the_journal_remembers_what_is_not_yet_safe(tmp_path: Path) -> None:
    database = RecordsDatabase(tmp_path)
    database.commit([row(1, journal=True), row(2)])
    assert database.journal(10) == [(b"\1" * 20, b"body")]
    database.commit([JournalDone(event_id=b"\1" * 20)])
    assert database.journal_depth() == 0
    assert len(database.events(KEY)) == 2
    database.close()


def test_calls_are_listed_by_time_without_gaps_or_doubles(tmp_path: Path) -> None:
    database = RecordsDatabase(tmp_path)
    rows = [
        EventRow(call_key=bytes([n % 7]) * 20, event_id=bytes([n]) * 20, time_us=n, body=bytes([n]))
        for n in range(1, 50)
    ]
    database.commit(rows)
    seen, after, more = [], (0, b""), True
    while more:
        page, more = database.calls_after(after, 1_000, 2)
        seen += [key for time_us, key, _ in page if time_us <= 7]
        after = (page[-1][0], page[-1][1])
    assert sorted(seen) == [bytes([n]) * 20 for n in range(7)]
    assert database.count_calls() == 7
    database.close()


def test_peers_and_subscribers_are_remembered(tmp_path: Path) -> None:
    database = RecordsDatabase(tmp_path)
    peer = NodeInfo(node_id=KEY, name="n2", host="192.0.2.2", port=7460)
    database.commit([Peers(peers=(peer,))])
    database.commit([SubscriberRow(key=KEY, aor="a@farm.test", body=b"x")])
    assert database.peers() == [peer]
    assert database.subscribers() == [(KEY, "a@farm.test", b"x")]
    database.close()


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    import apsw

    connection = apsw.Connection(str(tmp_path / "records.db"))
    connection.pragma("user_version", 99)
    connection.close()
    with pytest.raises(StorageError, match="schema 99"):
        RecordsDatabase(tmp_path)


def test_many_writes_share_commits_and_each_is_answered(tmp_path: Path) -> None:
    async def scenario() -> None:
        committer = Committer(RecordsDisk(tmp_path, Damage()))
        rows = [row(n) for n in range(200)]
        await asyncio.gather(*(committer.commit_wait(one) for one in rows))
        assert committer.batches < len(rows) / 4
        assert len(await committer.read(lambda db: db.events(KEY))) == 200
        await committer.stop()
        with pytest.raises(StorageError, match="closing"):
            await committer.commit_wait(row(1))

    asyncio.run(scenario())


def test_a_commit_that_the_disk_refuses_is_told_to_everybody(tmp_path: Path) -> None:
    async def scenario() -> None:
        disk = RecordsDisk(tmp_path, Damage())
        committer = Committer(disk)
        pages = int(disk._database._connection.pragma("max_page_count", 1))
        body = b"x" * (pages + 1) * 65_536
        rows = [
            SubscriberRow(key=bytes([n]) * 20, aor=f"{n}@farm.test", body=body) for n in range(3)
        ]
        results = await asyncio.gather(
            *(committer.commit_wait(each) for each in rows), return_exceptions=True
        )
        assert all(isinstance(result, StorageError) for result in results)
        assert "Full" in committer.last_error
        disk._database._connection.pragma("max_page_count", 1_000_000)
        await committer.commit_wait(row(9))
        assert committer.last_error == ""
        await committer.stop()

    asyncio.run(scenario())


def test_bindings_are_written_soon_and_nothing_ticks_while_they_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bindings_module, "FLUSH_S", 0.01)
    monkeypatch.setattr(bindings_module, "LOOK_S", 0.05)
    looks = 0

    def free_bytes() -> int:
        nonlocal looks
        looks += 1
        return 1

    async def scenario() -> None:
        bindings = Bindings(BindingsDatabase(tmp_path), now_ms, Space(free_bytes, 1))
        reader = BindingsDatabase(tmp_path)
        await bindings.start()
        await until(lambda: looks > 3, what="it looks from time to time")
        monkeypatch.setattr(bindings_module, "LOOK_S", 1_000.0)
        await asyncio.sleep(0.2)
        before = looks
        await asyncio.sleep(0.3)
        assert looks == before, "nothing is to be written"
        bindings.put(KEY, b"\x90")
        await until(lambda: reader.load() == {KEY: b"\x90"}, what="it is written")
        bindings.forget(KEY)
        await until(lambda: reader.load() == {}, what="that is written, too")
        reader.close()
        await bindings.stop()

    asyncio.run(scenario())


def test_bindings_are_there_at_once_and_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        bindings = Bindings(BindingsDatabase(tmp_path), now_ms)
        await bindings.start()
        bindings.put(KEY, b"\x90")
        assert bindings.get(KEY) == b"\x90"
        await bindings.stop()
        again = Bindings(BindingsDatabase(tmp_path), now_ms)
        assert again.get(KEY) == b"\x90"
        await again.stop()

    asyncio.run(scenario())
