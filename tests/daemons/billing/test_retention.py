"""Calls past their time are shown by no node, deleted everywhere, and do not come back."""

import asyncio
from pathlib import Path

from overlay.billing.retention import DAY_US, Retention, horizon_us
from overlay.control import operator_messages
from overlay.records.names import RecordKind, key_of
from overlay.storage.committer import Committer
from overlay.storage.damage import Damage
from overlay.storage.database import RecordsDatabase
from overlay.storage.outbox import Sinks
from overlay.storage.records_disk import RecordsDisk
from overlay.storage.rows import EventRow
from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import start_event, stop_event
from tests.waiting import until

NOW_MS = 200 * DAY_US // 1000
HORIZON_US = 110 * DAY_US


def row(call: int, day: float, journal: bool | None = None) -> EventRow:
    time_us = int(day * DAY_US)
    event_id = (call * 1_000_000 + int(day * 1000)).to_bytes(20, "big")
    return EventRow(
        call_key=bytes([call]) * 20, event_id=event_id, time_us=time_us, body=b"x", journal=journal
    )


def test_the_horizon_is_so_many_days_ago() -> None:
    assert horizon_us(NOW_MS, 90) == HORIZON_US
    assert horizon_us(NOW_MS, 0) == 0
    assert horizon_us(NOW_MS, 1_000) == 0


def test_only_what_is_past_and_needed_by_nobody_is_deleted(tmp_path: Path) -> None:
    async def scenario() -> None:
        committer = Committer(RecordsDisk(tmp_path, Damage()))
        past, lasted, journalled, hidden = 1, 2, 3, 4
        await asyncio.gather(
            *(
                committer.commit_wait(each)
                for each in (
                    row(past, 100),
                    row(past, 101),
                    row(lasted, 100),
                    row(lasted, 109.5),
                    row(journalled, 100, journal=True),
                    row(hidden, 109.9),
                )
            )
        )
        retention = Retention(committer, lambda: HORIZON_US)
        assert await retention.delete_past(0.0) == 1

        def left(db: RecordsDatabase) -> list[int]:
            return [key[0] for key in db.call_keys_after(b"", 100)]

        assert await committer.read(left) == [lasted, journalled, hidden]
        # Past, not deleted yet: here, and not shown.
        assert await committer.read(lambda db: db.events(b"\4" * 20, HORIZON_US)) == ()
        # A sink lacks all calls: nothing goes before it has them.
        await committer.commit_wait(Sinks(names=("csv",)))
        await committer.commit_wait(row(past, 100))
        assert await retention.delete_past(0.0) == 0
        await committer.commit_wait(Sinks(names=()))
        assert await retention.delete_past(0.0) == 1
        await committer.stop()

    asyncio.run(scenario())


def test_many_calls_go_in_batches(tmp_path: Path) -> None:
    async def scenario() -> None:
        committer = Committer(RecordsDisk(tmp_path, Damage()))
        rows = [
            EventRow(
                call_key=bytes([n % 7, n % 250]) * 10,
                event_id=n.to_bytes(20, "big"),
                time_us=n,
                body=b"x",
            )
            for n in range(1, 2_000)
        ]
        await asyncio.gather(*(committer.commit_wait(each) for each in rows))
        assert await Retention(committer, lambda: HORIZON_US).delete_past(0.0) > 500
        assert await committer.read(lambda db: db.count_calls()) == 0
        await committer.stop()

    asyncio.run(scenario())


def test_repair_does_not_bring_back_what_one_node_has_deleted(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1", "n2", "n3")
        await farm.joined()
        for event in (start_event("old"), stop_event("old")):
            await farm.ask("n1", event)
        key = key_of(RecordKind.CALL, "old")
        readers = {name: RecordsDatabase(tmp_path / name / "data") for name in farm.nodes}
        await until(
            lambda: all(len(db.events(key)) == 2 for db in readers.values()), what="all have it"
        )
        later_us = farm.nodes["n1"].base.now_ms() * 1000 + 2 * DAY_US
        for node in farm.nodes.values():
            node.records.replica.horizon_us = lambda: later_us
        first = farm.nodes["n1"]
        assert await Retention(first.committer, lambda: later_us + DAY_US).delete_past(0.0) == 1
        # A full pass of each other node, which holds it still, offers it to nobody.
        for name in ("n2", "n3"):
            assert len(readers[name].events(key)) == 2
            await farm.nodes[name].records.repair.prove()
        assert readers["n1"].events(key) == ()
        for name in farm.nodes:
            assert (await farm.ask(name, operator_messages.ShowCall(call_id="old"))).calls == ()
        for db in readers.values():
            db.close()

    play(tmp_path, story)
