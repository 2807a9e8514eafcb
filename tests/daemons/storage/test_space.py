"""A node short of space takes nothing new, finishes what has begun, and recovers when there is
room.
"""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from overlay.base.errors import StorageError
from overlay.control import operator_messages
from overlay.control.client import RefusedError
from overlay.daemon.parts import now_ms
from overlay.storage.bindings import Bindings
from overlay.storage.bindings_database import BindingsDatabase
from overlay.storage.committer import Committer
from overlay.storage.damage import Damage
from overlay.storage.records_disk import RecordsDisk
from overlay.storage.rows import EventRow
from overlay.storage.space import LOOK_EVERY_S, MIB, Space, free_bytes_of
from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import register, start_event, stop_event
from tests.waiting import eventually, until

KEY = b"k" * 20
ALICE = "alice@farm.test"


def row(number: int, *, new: bool) -> EventRow:
    return EventRow(
        call_key=KEY, event_id=bytes([number]) * 20, time_us=number, body=b"body", new=new
    )


def test_what_begins_a_record_is_refused_below_the_floor(tmp_path: Path) -> None:
    async def scenario() -> None:
        free = 5 * MIB
        space = Space(lambda: free, 64 * MIB)
        committer = Committer(RecordsDisk(tmp_path, Damage()), space)
        with pytest.raises(
            StorageError, match=r"5 MiB are free, storage\.free_bytes_min is 64 MiB"
        ):
            await committer.commit_wait(row(1, new=True))
        await committer.commit_wait(row(2, new=False))
        free = 64 * MIB
        await committer.commit_wait(row(1, new=True))
        assert len(await committer.read(lambda db: db.events(KEY))) == 2
        await committer.stop()

    asyncio.run(scenario())


def test_registrations_stay_in_memory_until_there_is_room(tmp_path: Path) -> None:
    async def scenario() -> None:
        free = 0
        bindings = Bindings(BindingsDatabase(tmp_path), now_ms, Space(lambda: free, MIB))
        await bindings.start()
        bindings.put(KEY, b"\x90")
        await until(lambda: bool(bindings.last_error), what="it is held back")
        assert bindings.get(KEY) == b"\x90"
        reader = BindingsDatabase(tmp_path)
        assert reader.load() == {}
        free = MIB
        await until(lambda: reader.load() == {KEY: b"\x90"}, what="it is written")
        await until(lambda: not bindings.last_error, what="that is known here")
        reader.close()
        await bindings.stop()

    asyncio.run(scenario())


def test_what_is_free_is_asked_of_the_system(tmp_path: Path) -> None:
    assert free_bytes_of(tmp_path)() > 0
    assert Space(free_bytes_of(tmp_path), 1 << 62).short()
    assert not Space(free_bytes_of(tmp_path), 1).short()
    assert not Space(free_bytes_of(tmp_path), 0).short()


def test_a_farm_that_is_short_of_space_ends_its_calls(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1", "n2", "n3")
        await farm.joined()
        assert (await farm.ask("n1", start_event("call-1"))).level == "quorum"
        real = {}
        for name, node in farm.nodes.items():
            real[name] = node.committer.space.free_bytes
            node.committer.space.free_bytes = lambda: 1 * MIB
        with pytest.raises(RefusedError, match="short of space") as refused:
            await farm.ask("n1", start_event("call-2"))
        assert refused.value.code == "storage"
        subscriber = farm.subscriber(ALICE, "wonder", 1)
        with pytest.raises(RefusedError, match="short of space"):
            await farm.ask("n2", operator_messages.PutSubscriber(record=subscriber))
        assert (await farm.ask("n2", stop_event("call-1"))).level == "quorum"
        await farm.ask("n3", register(ALICE, "sip:alice@192.0.2.7"))
        status = await farm.ask("n1", operator_messages.GetStatus())
        assert all("MiB are free" in node.disk for node in status.nodes)
        for name, node in farm.nodes.items():
            node.committer.space.free_bytes = real[name]
        assert (await farm.ask("n1", start_event("call-2"))).level == "quorum"

        async def well() -> bool:
            status = await farm.ask("n1", operator_messages.GetStatus())
            return all(node.disk == "ok" for node in status.nodes)

        await eventually(well)

    play(tmp_path, story)


def test_the_system_is_asked_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, now_s = 0, 1.0

    def disk_usage(_: Path) -> SimpleNamespace:
        nonlocal asked
        asked += 1
        return SimpleNamespace(free=asked)

    monkeypatch.setattr("overlay.storage.space.shutil.disk_usage", disk_usage)
    free_bytes = free_bytes_of(tmp_path, lambda: now_s)
    assert [free_bytes(), free_bytes()] == [1, 1]
    now_s += LOOK_EVERY_S
    assert free_bytes() == 2
