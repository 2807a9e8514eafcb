"""The simulator finds mistakes: a daemon that is broken on purpose must fail its checks."""

from collections.abc import Callable
from typing import cast

import pytest

from overlay.base.errors import StorageError
from overlay.cache.hot import HotRecords
from overlay.observe.part import Part
from overlay.records import registration
from overlay.replication.repair import Repair
from overlay.storage import database, writes
from overlay.storage.committer import Committed
from overlay.storage.event_log import EventLog
from overlay.storage.rows import EventRow, Row
from overlay.storage.settling import Settling
from tests.simulation import disk
from tests.simulation.disk import ProcessDisk
from tests.simulation.simulation import run


def found(word: str, seeds: range = range(60)) -> bool:
    """Whether some seed tells of a problem with this word."""
    for seed in seeds:
        problems = run(seed).problems
        if any(word in problem for problem in problems):
            return True
    return False


def test_an_acknowledgement_before_the_commit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    later = ProcessDisk.commit

    def too_early(
        disk: ProcessDisk, rows: list[Row], finished: Callable[[StorageError | None], None]
    ) -> None:
        later(disk, rows, lambda _: None)
        disk._loop.call_soon(finished, None)

    monkeypatch.setattr(ProcessDisk, "commit", too_early)
    assert found("disks")


def test_a_log_that_acknowledges_before_the_sync_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_early(settling: Settling, rows: list[Row], finished: Committed) -> None:
        settling._log.append(cast(list[EventRow], rows))
        settling._synced(rows, finished, None)

    monkeypatch.setattr(Settling, "_log_them", too_early)
    assert found("disks")


def test_a_log_that_nobody_reads_after_a_crash_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def clear(event_log: EventLog, _: object) -> int:
        event_log.clear()
        return 0

    monkeypatch.setattr(disk, "take_in", clear)
    assert found("safe on a disk")


def test_a_log_that_is_emptied_before_the_database_has_it_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn = EventLog.turn

    def turn_and_empty(event_log: EventLog) -> None:
        turn(event_log)
        event_log.empty_other()

    monkeypatch.setattr(EventLog, "turn", turn_and_empty)
    assert found("safe on a disk")


def test_rows_that_rot_are_found_without_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (database, writes):
        monkeypatch.setattr(module, "checksum", lambda *_: 0)
    monkeypatch.setattr(writes, "EVENT_SUM", "0")
    assert found("nobody wrote")


def test_a_farm_without_repair_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Repair, "start", Part.start)
    assert found("differs")


def test_leases_that_never_end_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HotRecords, "end_leases", lambda _: None)
    monkeypatch.setattr(HotRecords, "end_leases_of", lambda *_: None)
    assert found("was answered", range(50, 150))


def test_a_merge_that_goes_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = registration.newer
    monkeypatch.setattr(
        registration, "newer", lambda one, two: one if right(one, two) is two else two
    )
    assert found("was answered")
