"""What counts as a beat, and how long one is good for."""

import asyncio
from pathlib import Path

from overlay.base.errors import StorageError
from overlay.observe.heartbeat import Heartbeat
from overlay.storage.committer import Committer
from overlay.storage.damage import Damage
from overlay.storage.records_disk import RecordsDisk
from tests.waiting import until


class Played:
    """A commit path and a clock in a test's hands."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.error: StorageError | None = None
        self.beats = 0
        self.heart = Heartbeat(
            self.round_trip, self.beaten, every_s=0.001, live_s=10.0, now_s=lambda: self.now_s
        )

    async def round_trip(self) -> None:
        await self.hangs.wait()
        if self.error is not None:
            raise self.error

    def beaten(self) -> None:
        self.beats += 1


def test_it_is_live_while_it_beats() -> None:
    async def story() -> None:
        played = Played()
        played.heart.start()
        await until(lambda: played.beats > 2)
        played.now_s = 60.0
        before = played.beats
        await until(lambda: played.beats > before + 1)
        assert (played.heart.age_s, played.heart.check()) == (0.0, "")
        await played.heart.stop()

    asyncio.run(story())


def test_a_commit_path_that_hangs_is_told() -> None:
    async def story() -> None:
        played = Played()
        await played.heart.beat()
        played.hangs.clear()
        beating = asyncio.create_task(played.heart.beat())
        await asyncio.sleep(0)
        played.now_s = 9.0
        assert played.heart.check() == ""
        played.now_s = 12.0
        assert played.heart.check() == "nothing was committed for 12 s"
        assert played.beats == 1
        played.hangs.set()
        await beating
        assert (played.heart.check(), played.beats) == ("", 2)

    asyncio.run(story())


def test_a_disk_that_says_no_is_no_reason() -> None:
    async def story() -> None:
        played = Played()
        played.error = StorageError("disk full")
        played.now_s = 60.0
        await played.heart.beat()
        assert (played.heart.check(), played.beats) == ("", 1)

    asyncio.run(story())


def test_it_goes_through_a_real_commit_path(tmp_path: Path) -> None:
    async def story() -> None:
        committer = Committer(RecordsDisk(tmp_path, Damage()))
        heart = Heartbeat(committer.round_trip)
        await heart.beat()
        assert (committer.batches, committer.rows) == (0, 0), "it writes nothing"
        await committer.stop()

    asyncio.run(story())
