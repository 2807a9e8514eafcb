"""How one call event becomes safe, and what else happens to it meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.base.errors import StorageError
from overlay.links.peer_protocol import Failed
from overlay.links.record_messages import Stored
from overlay.records import call
from overlay.records.call import CallEvent, Level
from overlay.records.clock import HybridClock
from overlay.records.refusal import Refusal
from overlay.replication.events import EventWriter, merge_bodies
from overlay.replication.reader import Reader
from overlay.storage.rows import EventRow, JournalDone
from tests.proxy_requests import start_event
from tests.unit.replication.fakes import World
from tests.waiting import until

FULL = StorageError("full")
NO = Failed(code="storage", reason="full")
LONG_S = 60.0
START = start_event("call-1").event
VERSIONS = [
    call.encode(msgspec.structs.replace(START, time_us=time_us, node=node, event_id=event_id * 20))
    for time_us in (1, 2)
    for node in ("n1", "n2")
    for event_id in (b"a", b"b")
]
"""Bodies of two events, as four nodes might have written them."""


class Writing:
    """One event that n1 writes, and all that is told of it."""

    def __init__(self, count: int = 3) -> None:
        self.told: list[Any] = []
        self.world = World(count, lambda key, event: self.told.append(("stored", event.event_id)))
        self.writer = EventWriter(
            "n1",
            self.world.replicas,
            Reader(self.world.replicas),
            self.world.committer,
            HybridClock(lambda: 0),
            self,
        )

    def took_on(self, event: CallEvent) -> None:
        self.told.append("took on")

    def gave_up(self, event_id: bytes) -> None:
        self.told.append(("gave up", event_id))

    async def write(self, timeout_s: float = LONG_S) -> None:
        self.writer.write(START, timeout_s, self.told.append)
        await self.turn()

    async def disk(self, error: StorageError | None = None) -> None:
        """The commit under way ends."""
        self.world.disk.finish(error)
        await self.turn()

    async def turn(self) -> None:
        """What was asked of the disk gets there."""
        for _ in range(3):
            await asyncio.sleep(0)

    @property
    def rows(self) -> list[Any]:
        return self.world.disk.rows


def play(story: Callable[[Writing], Awaitable[None]], count: int = 3) -> None:
    async def inner() -> None:
        await story(Writing(count))

    asyncio.run(inner())


def test_an_event_is_encoded_once_for_every_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[CallEvent] = []

    def encode(event: CallEvent, encode: Any = call.encode) -> Any:
        encoded.append(event)
        return encode(event)

    monkeypatch.setattr(call, "encode", encode)

    async def story(writing: Writing) -> None:
        await writing.write()
        assert writing.told == ["took on"]
        (row,) = writing.rows
        ((name, store),) = writing.world.transport.asked
        assert (name, len(encoded)) == ("n2", 1)
        assert store.body is row.body
        await writing.disk()
        writing.world.transport.reply("n2", Stored())
        assert writing.told == ["took on", ("stored", START.event_id), Level.QUORUM]
        assert writing.world.spread() == ["n3"]
        _, spread = writing.world.transport.asked[-1]
        assert spread.records[0][1] is row.body
        assert len(encoded) == 1

    play(story)


def test_a_read_tells_events_as_they_were_written() -> None:
    """So a body of another version, with other fields, is repaired nowhere."""
    older = msgspec.msgpack.encode(msgspec.msgpack.decode(call.encode(START))[:9])
    event = call.decode(older)
    assert call.encode(event) != older
    merged = merge_bodies([older])
    assert (merged.record, merged.bodies) == ((event,), [older])


@given(st.lists(st.sampled_from(VERSIONS)))
def test_a_read_keeps_the_version_that_a_disk_would(bodies: list[bytes]) -> None:
    merged = merge_bodies(bodies)
    assert merged.record == call.merge(map(call.decode, bodies), ())
    assert merged.bodies == [call.encode(event) for event in merged.record]


def test_a_lost_quorum_leaves_it_in_the_journal() -> None:
    async def story(writing: Writing) -> None:
        await writing.write()
        writing.world.transport.reply("n2", NO)
        writing.world.transport.reply("n3", NO)
        await writing.disk()
        assert writing.told == ["took on", ("stored", START.event_id)]
        row = writing.rows[-1]
        assert row.journal
        assert call.decode(row.body).level == "journal"
        await writing.disk()
        assert writing.told[2:] == [Level.JOURNAL]
        assert writing.writer.journal_depth == 1

    play(story)


def test_so_do_too_few_nodes_which_are_not_asked() -> None:
    async def story(writing: Writing) -> None:
        await writing.write()
        await writing.disk()
        assert writing.told == ["took on", Level.JOURNAL]
        assert writing.world.transport.asked == []

    play(story, count=1)


def test_so_does_a_slow_quorum_which_may_still_take_it_out() -> None:
    async def story(writing: Writing) -> None:
        await writing.write(timeout_s=0.02)
        await writing.disk()
        await until(lambda: len(writing.rows) == 2, what="it goes to the journal")
        await writing.disk()
        assert writing.told[-1] is Level.JOURNAL
        writing.world.transport.reply("n2", Stored())
        await writing.turn()
        assert writing.rows[-1] == JournalDone(event_id=START.event_id)
        await writing.disk()
        assert writing.writer.journal_depth == 0
        assert writing.told.count(Level.QUORUM) == 0, "the proxy was told once"

    play(story)


def test_a_quorum_that_overtakes_the_journal_is_what_counts() -> None:
    async def story(writing: Writing) -> None:
        await writing.write(timeout_s=0.02)
        await writing.disk()
        await until(lambda: len(writing.rows) == 2, what="it goes to the journal")
        writing.world.transport.reply("n2", Stored())
        assert writing.told[-1] is Level.QUORUM
        await writing.disk()
        assert isinstance(writing.rows[1], EventRow)
        assert writing.rows[-1] == JournalDone(event_id=START.event_id)
        assert writing.told[-1] is Level.QUORUM

    play(story)


def test_an_event_that_no_disk_took_is_refused_and_given_up() -> None:
    async def story(writing: Writing) -> None:
        await writing.write()
        writing.world.transport.reply("n2", NO)
        writing.world.transport.reply("n3", NO)
        await writing.disk(FULL)
        await writing.disk(FULL)
        refusal = Refusal(code="storage", reason="full")
        assert writing.told == ["took on", ("gave up", START.event_id), refusal]
        assert writing.writer.journal_depth == 0

    play(story)
