"""The log's events are found again, whatever a crash or a bad disk left of it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.storage.damage import Damage
from overlay.storage.event_log import HEAD_BYTES, RESERVED_BYTES, EventLog, takes
from overlay.storage.log_file import NAMES, PAGE_BYTES, open_files
from overlay.storage.rows import EventRow, JournalDone

ROWS = st.builds(
    EventRow,
    call_key=st.binary(min_size=20, max_size=20),
    event_id=st.binary(min_size=20, max_size=20),
    time_us=st.integers(0, 2**63 - 1),
    body=st.binary(max_size=80),
    journal=st.sampled_from([None, True, False]),
)
SYNCS = 20
BATCHES = st.lists(st.lists(ROWS, min_size=1, max_size=3), min_size=1, max_size=6)


@contextmanager
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def begin(directory: Path, reserved_bytes: int = RESERVED_BYTES) -> EventLog:
    """As a node does."""
    log = EventLog(open_files(directory, Damage()), reserved_bytes)
    log.recover()
    log.clear()
    return log


def write(directory: Path, batches: list[list[EventRow]]) -> list[int]:
    """Where each batch ends in the first file."""
    log, ends = begin(directory, reserved_bytes=0), []
    for batch in batches:
        log.append(batch)
        ends.append((directory / NAMES[0]).stat().st_size)
    log.close()
    return ends


def read(directory: Path, damage: Damage | None = None) -> list[EventRow]:
    log = EventLog(open_files(directory, damage or Damage()))
    found = log.recover()
    log.close()
    return found


def rows_of(batches: list[list[EventRow]]) -> list[EventRow]:
    return [row for batch in batches for row in batch]


@given(BATCHES, st.data())
def test_a_file_that_was_cut_off_has_all_whole_batches(
    batches: list[list[EventRow]], data: st.DataObject
) -> None:
    with folder() as directory:
        ends, damage = write(directory, batches), Damage()
        size = data.draw(st.integers(HEAD_BYTES, ends[-1]))
        with (directory / NAMES[0]).open("r+b") as file:
            file.truncate(size)
        whole = sum(end <= size for end in ends)
        assert read(directory, damage) == rows_of(batches[:whole])
        assert damage.describe() == ""


@given(BATCHES, st.data())
def test_of_a_batch_that_has_rotted_the_others_are_kept(
    batches: list[list[EventRow]], data: st.DataObject
) -> None:
    with folder() as directory:
        ends, damage = write(directory, batches), Damage()
        at = data.draw(st.integers(HEAD_BYTES, ends[-1] - 1))
        content = bytearray((directory / NAMES[0]).read_bytes())
        content[at] ^= 1 << data.draw(st.integers(0, 7))
        (directory / NAMES[0]).write_bytes(content)
        rotten = next(index for index, end in enumerate(ends) if at < end)
        others = [batch for index, batch in enumerate(batches) if index != rotten]
        assert read(directory, damage) == rows_of(others)
        # Nobody can tell the last one from one that a crash cut off.
        assert len(damage.files) == (rotten < len(batches) - 1)


def test_a_file_that_has_rotted_in_several_places_is_kept_once(tmp_path: Path) -> None:
    batches = [
        [EventRow(call_key=b"k" * 20, event_id=b"e" * 20, time_us=number, body=b"x" * 40)]
        for number in range(5)
    ]
    ends, damage = write(tmp_path, batches), Damage()
    content = bytearray((tmp_path / NAMES[0]).read_bytes())
    for rotten in (1, 3):
        content[ends[rotten] - 1] ^= 1
    (tmp_path / NAMES[0]).write_bytes(content)
    assert [row.time_us for row in read(tmp_path, damage)] == [0, 2, 4]
    assert len(damage.files) == 1


@given(st.integers(0, HEAD_BYTES - 1), st.integers(0, HEAD_BYTES - 1))
def test_a_head_that_has_rotted_is_there_twice(one: int, other: int) -> None:
    def event(number: int) -> EventRow:
        return EventRow(call_key=b"k" * 20, event_id=b"e" * 20, time_us=number, body=b"x")

    with folder() as directory:
        log = begin(directory)
        for number in range(3):
            log.append([event(number)])
        log.turn()
        log.empty_other()
        log.turn()
        log.append([event(3)])
        log.close()
        sound = (directory / NAMES[0]).read_bytes()
        for places in ([one], [one, other]):
            content, damage = bytearray(sound), Damage()
            for at in places:
                content[at] ^= 1
            (directory / NAMES[0]).write_bytes(content)
            found = [row.time_us for row in read(directory, damage)]
            # What is settled must not come again, as it may have been deleted since.
            assert (found, len(damage.files)) in (([3], 0), ([], 1))
            assert found or len(places) == 2


@given(st.lists(st.tuples(BATCHES, st.booleans()), min_size=1, max_size=6), st.sampled_from([0, 1]))
def test_what_is_not_settled_is_read_in_the_order_in_which_it_was_written(
    turns: list[tuple[list[list[EventRow]], bool]], reserved_pages: int
) -> None:
    """Over what was there before: longer, shorter, and beyond what the files have at first."""
    with folder() as directory:
        log = begin(directory, HEAD_BYTES + reserved_pages * 256)
        leaving: list[EventRow] = []
        for batches, settles in turns:
            for batch in batches:
                log.append(batch)
            assert read(directory) == [*leaving, *rows_of(batches)]
            if leaving:
                log.empty_other()
                assert read(directory) == rows_of(batches)
            log.turn()
            leaving = rows_of(batches)
            if settles:
                log.empty_other()
                leaving = []
            assert read(directory) == leaving
        log.close()
        again = begin(directory)
        again.append(rows_of(turns[0][0]))
        again.close()
        assert read(directory) == rows_of(turns[0][0])


def test_a_file_that_is_used_again_has_its_length_and_its_blocks(tmp_path: Path) -> None:
    """A sync has nothing to bring to disk but what was written."""
    log = begin(tmp_path)
    blocks = [(tmp_path / name).stat().st_blocks for name in NAMES]
    assert min(blocks) * 512 >= RESERVED_BYTES
    event = EventRow(call_key=b"k" * 20, event_id=b"e" * 20, time_us=1, body=b"x" * 1_000)
    for _ in range(4):
        for _ in range(100):
            log.append([event])
        log.turn()
        log.empty_other()
        assert [(tmp_path / name).stat().st_size for name in NAMES] == [RESERVED_BYTES] * 2
        assert [(tmp_path / name).stat().st_blocks for name in NAMES] == blocks
    log.append([event] * 2_000)
    assert (tmp_path / NAMES[0]).stat().st_size > RESERVED_BYTES
    log.turn()
    log.empty_other()
    assert [(tmp_path / name).stat().st_size for name in NAMES] == [RESERVED_BYTES] * 2
    log.close()


def test_a_sync_has_no_more_to_write_than_was_written(tmp_path: Path) -> None:
    """By the kernel's account, in which large pages would be dirty as a whole."""
    log = begin(tmp_path)
    event = EventRow(call_key=b"k" * 20, event_id=b"e" * 20, time_us=1, body=b"x" * 100)
    before = dirtied_bytes()
    for _ in range(SYNCS):
        log.append([event])
        os.fdatasync(log.current.fileno())
    assert dirtied_bytes() - before <= 2 * SYNCS * PAGE_BYTES
    log.close()


def dirtied_bytes() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])


def test_without_room_a_log_grows_with_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("overlay.storage.log_file.os.pwrite", _no_room)
        log = begin(tmp_path)
    event = EventRow(call_key=b"k" * 20, event_id=b"e" * 20, time_us=1, body=b"x")
    log.append([event])
    log.close()
    assert read(tmp_path) == [event]


def _no_room(*_: object) -> int:
    raise OSError(errno.ENOSPC, "no space left on device")


def test_a_batch_that_could_not_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def event(number: int, size: int) -> EventRow:
        key = bytes([number]) * 20
        return EventRow(call_key=key, event_id=key, time_us=number, body=b"x" * size)

    log = begin(tmp_path)
    log.append([event(1, 10)])
    whole = os.pwrite
    with monkeypatch.context() as patched:
        patched.setattr(
            "overlay.storage.log_file.os.pwrite",
            lambda file, data, at: whole(file, data[: len(data) // 2], at),
        )
        with pytest.raises(OSError, match="were written"):
            log.append([event(2, 5_000)])
    log.append([event(3, 10)])
    log.close()
    damage = Damage()
    assert [row.time_us for row in read(tmp_path, damage)] == [1, 3]
    assert damage.describe() == ""


def test_what_does_not_go_by_the_log() -> None:
    event = EventRow(call_key=b"k" * 20, event_id=b"e" * 20, time_us=1, body=b"")
    assert takes(event)
    assert not takes(JournalDone(event_id=b"e" * 20))
    assert not takes(EventRow(**{**_fields(event), "head": b"h"}))
    assert not takes(EventRow(**{**_fields(event), "time_us": 2**63}))


def _fields(event: EventRow) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}
