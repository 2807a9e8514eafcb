"""A row that is not as it was written is never served, is kept aside, and comes back whole."""

import asyncio
from pathlib import Path

import apsw
import pytest

from overlay.control import operator_messages
from overlay.daemon.parts import now_ms
from overlay.records.names import RecordKind, key_of
from overlay.storage.bindings import Bindings
from overlay.storage.bindings_database import BindingsDatabase
from overlay.storage.committer import Committer
from overlay.storage.damage import Damage
from overlay.storage.database import RecordsDatabase
from overlay.storage.records_disk import RecordsDisk
from overlay.storage.rows import EventRow, RottenRow, SubscriberRow
from overlay.storage.scrubber import Scrubber
from overlay.storage.subscribers import StoredSubscribers
from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import start_event, stop_event
from tests.waiting import until

KEY = b"k" * 20
ALICE = "alice@farm.test"


def row(event: int, body: bytes = b"body", **more: bool) -> EventRow:
    return EventRow(
        call_key=KEY, event_id=bytes([event]) * 20, time_us=event, body=body, journal=more.get("j")
    )


def damage(path: Path, statement: str, *values: object) -> None:
    """What a disk does that hands out other bytes than it was given."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(5_000)
    connection.execute(statement, values)  # type: ignore[arg-type]
    assert connection.changes()
    connection.close()


def aside(path: Path) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(path))
    rows = list(connection.execute("SELECT origin, key, body FROM rotten"))
    connection.close()
    return rows


@pytest.mark.parametrize("change", ["body = 'x' || body", "time_us = time_us + 1", "checksum = 7"])
def test_a_rotten_event_is_not_served_and_set_aside(tmp_path: Path, change: str) -> None:
    database = RecordsDatabase(tmp_path)
    database.commit([row(1), row(2, b"two", j=True), row(3)])
    file = tmp_path / "records.db"
    damage(file, f"UPDATE events SET {change} WHERE event_id = ?", b"\2" * 20)
    assert database.events(KEY) == (b"body", b"body")
    assert database.journal(10) == []
    assert database.damage.rotten_rows == 1
    (rotten,) = database.damage.take()
    assert rotten == RottenRow(table="events", key=(KEY, b"\2" * 20))
    database.commit([rotten])
    assert [key for _, key, _ in aside(file)] == [KEY + b"\2" * 20]
    assert database.journal_depth() == 0
    # What comes from another replica has room again.
    database.commit([row(2, b"two")])
    assert len(database.events(KEY)) == 3
    database.commit([rotten])
    assert len(database.events(KEY)) == 3
    database.close()


def test_a_sound_copy_replaces_a_rotten_one_that_nobody_noticed(tmp_path: Path) -> None:
    database = RecordsDatabase(tmp_path)
    database.commit([row(1, b"zzz")])
    damage(tmp_path / "records.db", "UPDATE events SET body = ?", b"aaa")
    database.commit([row(1, b"zzz")])
    assert database.events(KEY) == (b"zzz",)
    database.close()


def test_a_call_of_which_all_has_rotted_is_not_listed(tmp_path: Path) -> None:
    database = RecordsDatabase(tmp_path)
    database.commit([row(1)])
    damage(tmp_path / "records.db", "UPDATE events SET body = ?", b"aaa")
    assert database.calls_after((0, b""), 1_000, 10) == ((), False)
    database.close()


def test_a_read_has_what_it_finds_set_aside(tmp_path: Path) -> None:
    async def scenario() -> None:
        committer = Committer(RecordsDisk(tmp_path, Damage()))
        await committer.commit_wait(row(1))
        assert await committer.read(lambda db: db.events(KEY)) == (b"body",)
        damage(tmp_path / "records.db", "UPDATE events SET body = ?", b"aaa")
        assert await committer.read(lambda db: db.events(KEY)) == ()
        await committer.stop()
        assert len(aside(tmp_path / "records.db")) == 1

    asyncio.run(scenario())


def test_rotten_bindings_are_set_aside_at_the_start(tmp_path: Path) -> None:
    database = BindingsDatabase(tmp_path)
    database.write([(KEY, b"one"), (b"l" * 20, b"two")])
    database.close()
    damage(tmp_path / "bindings.db", "UPDATE bindings SET body = ? WHERE key = ?", b"onf", KEY)
    again = BindingsDatabase(tmp_path)
    assert again.load() == {b"l" * 20: b"two"}
    assert again.damage.rotten_rows == 1
    again.close()
    assert aside(tmp_path / "bindings.db") == [("bindings", KEY, b"onf")]


def test_the_scrubber_writes_again_what_memory_has(tmp_path: Path) -> None:
    async def scenario() -> None:
        farm = Farm(tmp_path / "farm")
        body = farm.subscriber(ALICE, "wonder", 1)
        key = key_of(RecordKind.SUBSCRIBER, ALICE)
        committer = Committer(RecordsDisk(tmp_path, Damage()))
        subscribers = StoredSubscribers([])
        subscribers.merge(key, body)
        encoded = subscribers.get(key)
        assert encoded
        await committer.commit_wait(SubscriberRow(key=key, aor=ALICE, body=encoded))
        bindings = Bindings(BindingsDatabase(tmp_path), now_ms)
        bindings.put(KEY, b"\x90")
        await bindings._flush()
        damage(tmp_path / "records.db", "UPDATE subscribers SET body = x'00'")
        damage(tmp_path / "bindings.db", "UPDATE bindings SET body = x'00'")
        await Scrubber(bindings, subscribers, committer).scrub(0.0)
        assert await committer.read(lambda db: db.subscribers()) == [(key, ALICE, encoded)]
        await bindings.stop()
        await committer.stop()
        again = BindingsDatabase(tmp_path)
        assert again.load() == {KEY: b"\x90"}
        again.close()

    asyncio.run(scenario())


def test_repair_fetches_what_has_rotted(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1", "n2", "n3")
        await farm.joined()
        for event in (start_event("call-1"), stop_event("call-1")):
            await farm.ask("n1", event)
        key = key_of(RecordKind.CALL, "call-1")
        path = tmp_path / "n2" / "data" / "records.db"
        reader = RecordsDatabase(tmp_path / "n2" / "data")
        await until(lambda: len(reader.events(key)) == 2, what="n2 has both events")
        damage(path, "UPDATE events SET body = substr(body, 1, 40) || x'00' || substr(body, 42)")
        assert reader.events(key) == ()
        await until(lambda: len(reader.events(key)) == 2, what="n2 has both events again")
        reader.close()
        assert farm.nodes["n2"].committer.damage.rotten_rows == 2
        (record,) = (await farm.ask("n2", operator_messages.ShowCall(call_id="call-1"))).calls
        assert record.state == "complete"

    play(tmp_path, story)
