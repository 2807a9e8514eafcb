"""A process that is killed while it writes has everything on disk that it acknowledged."""

import asyncio
import subprocess
import sys
from pathlib import Path

from overlay.storage.committer import Committer
from overlay.storage.damage import Damage
from overlay.storage.database import RecordsDatabase
from overlay.storage.records_disk import RecordsDisk

ACKNOWLEDGED = 2_000
KILLS = 3
WRITER = """
import asyncio, itertools, sys
from pathlib import Path
from overlay.storage.committer import Committer
from overlay.storage.damage import Damage
from overlay.storage.records_disk import RecordsDisk
from overlay.storage.rows import EventRow

async def write(committer, numbers):
    for number in numbers:
        key = number.to_bytes(20, "big")
        row = EventRow(call_key=key, event_id=key, time_us=number, body=b"%d" % number * 100)
        await committer.commit_wait(row)
        print(number, flush=True)

async def main():
    committer = Committer(RecordsDisk(Path(sys.argv[1]), Damage()))
    numbers = itertools.count(1)
    await asyncio.gather(*(write(committer, numbers) for _ in range(50)))

asyncio.run(main())
"""


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    for _ in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            acknowledged = [int(writer.stdout.readline()) for _ in range(ACKNOWLEDGED)]
            writer.kill()
            # A line that the kill cut in two was no acknowledgement.
            rest = writer.stdout.read()
            acknowledged += [int(line) for line in rest.splitlines(True) if line.endswith("\n")]
        asyncio.run(_has_all(tmp_path, acknowledged))


async def _has_all(directory: Path, numbers: list[int]) -> None:
    damage = Damage()
    committer = Committer(RecordsDisk(directory, damage))

    def check(database: RecordsDatabase) -> None:
        for number in numbers:
            assert database.events(number.to_bytes(20, "big")) == (b"%d" % number * 100,)

    await committer.read(check)
    await committer.stop()
    assert damage.describe() == ""
