"""Billing records are written to files."""

import asyncio
import csv
import errno
import json
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.billing.columns import COLUMNS, BilledRow
from overlay.billing.sinks.files import FileSink, Format, csv_line, json_line
from overlay.billing.sinks.sink import SinkError
from overlay.records.billed import FREE
from overlay.records.call import CallEvent

from .rows import EVENTS, hostile_rows, row, rows_of

FORMATS: Sequence[Format] = ("csv", "jsonl")


class Clock:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


def sink_in(directory: Path, kind: Format, clock: Clock, rotate_bytes: int = 1 << 20) -> FileSink:
    """A sink that rotates every hour."""
    return FileSink(directory, kind, "n1", rotate_s=3_600, rotate_bytes=rotate_bytes, clock=clock)


def finished(directory: Path, kind: Format) -> list[Path]:
    """The files that are complete, oldest first."""
    return sorted(directory.glob(f"cdr-*.{kind}"))


def ids(path: Path) -> list[str]:
    """The ids in a file."""
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return [each["id"] for each in csv.DictReader(file)]
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def manifest(path: Path) -> dict[str, Any]:
    """What stands beside a file."""
    found: dict[str, Any] = json.loads(path.with_name(f"{path.name}.manifest.json").read_text())
    return found


@pytest.mark.parametrize("kind", FORMATS)
def test_files_are_whole_and_have_manifests(kind: Format, tmp_path: Path) -> None:
    clock = Clock()

    async def story() -> None:
        sink = sink_in(tmp_path, kind, clock)
        await sink.take([row(1), row(2)])
        await sink.take([row(3)])
        assert finished(tmp_path, kind) == []
        clock.now_s += 3_600
        await sink.tick()
        (first,) = finished(tmp_path, kind)
        assert ids(first) == [row(n).id for n in (1, 2, 3)]
        told = manifest(first)
        assert (told["file"], told["rows"]) == (first.name, 3)
        assert (told["first_id"], told["last_id"]) == (row(1).id, row(3).id)
        assert told["sha256"] == sha256(first.read_bytes()).hexdigest()
        await sink.take([row(4)])
        await sink.close()
        assert ids(finished(tmp_path, kind)[-1]) == [row(4).id]
        assert list(tmp_path.glob("*.part")) == []

    asyncio.run(story())


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_file_is_followed_by_the_next(kind: Format, tmp_path: Path) -> None:
    async def story() -> None:
        sink = sink_in(tmp_path, kind, Clock(), rotate_bytes=600)
        for number in range(9):
            await sink.take([row(number)])
        await sink.close()

    asyncio.run(story())
    files = finished(tmp_path, kind)
    assert len(files) > 2
    assert sorted(each for path in files for each in ids(path)) == [row(n).id for n in range(9)]


@pytest.mark.parametrize("kind", FORMATS)
def test_what_a_crash_left_is_finished_without_its_torn_line(kind: Format, tmp_path: Path) -> None:
    async def crash() -> Path:
        sink = sink_in(tmp_path, kind, Clock())
        await sink.take([row(1), row(2)])
        (part,) = tmp_path.glob("*.part")
        return part

    part = asyncio.run(crash())
    whole = part.read_bytes()
    part.write_bytes(whole + b"00000000000000000000000000000003,2,comp")

    async def again() -> None:
        sink = sink_in(tmp_path, kind, Clock())
        await sink.take([row(3)])
        await sink.close()

    asyncio.run(again())
    first, second = finished(tmp_path, kind)
    assert first.read_bytes() == whole
    assert manifest(first)["sha256"] == sha256(whole).hexdigest()
    assert ids(second) == [row(3).id]


def test_a_failed_batch_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 100:
            real_write(descriptor, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, data)

    async def story() -> None:
        sink = sink_in(tmp_path, "jsonl", Clock())
        await sink.take([row(1)])
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(SinkError, match="No space left"):
                await sink.take([row(2)])
        await sink.take([row(2)])
        await sink.close()

    asyncio.run(story())
    (file,) = finished(tmp_path, "jsonl")
    assert ids(file) == [row(1).id, row(2).id]


def test_no_directory_no_rows(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def story() -> None:
        sink = sink_in(tmp_path / "file" / "below", "csv", Clock())
        with pytest.raises(SinkError, match="file"):
            await sink.take([row(1)])
        await sink.close()

    asyncio.run(story())


@pytest.mark.parametrize("caller", ['=HYPERLINK("http://x")', "+1", "-1", "@x"])
def test_a_spreadsheet_runs_nothing(caller: str) -> None:
    (fields,) = csv.reader([csv_line(row(1, caller=caller))])
    assert dict(zip(COLUMNS, fields, strict=True))["caller"] == f"'{caller}"


@given(hostile_rows())
def test_a_spreadsheet_runs_no_text_of_a_call(hostile: BilledRow) -> None:
    (fields,) = csv.reader([csv_line(hostile)])
    for column, cell in zip(COLUMNS, fields, strict=True):
        told = str(getattr(hostile, column))
        assert cell == (f"'{told}" if told.startswith(("=", "+", "-", "@")) else told)
    found = json.loads(json_line(hostile))
    assert list(found.items()) == [(name, getattr(hostile, name)) for name in COLUMNS]


def test_each_text_that_a_spreadsheet_would_run_is_quoted() -> None:
    for name in (name for name, column in COLUMNS.items() if column.kind in FREE):
        for text in ('=HYPERLINK("http://x")', "+4930123456", "-1", "@x"):
            call = msgspec.structs.replace(row(1), **{name: text})
            (fields,) = csv.reader([csv_line(call)])
            assert dict(zip(COLUMNS, fields, strict=True))[name] == f"'{text}"


def test_quotes_and_commas_stay_in_their_field() -> None:
    (fields,) = csv.reader([csv_line(row(1, caller='sip:"a,b"@x'))])
    assert dict(zip(COLUMNS, fields, strict=True))["caller"] == 'sip:"a,b"@x'
    assert len(fields) == len(BilledRow.__struct_fields__)


@given(st.lists(EVENTS, min_size=1, max_size=8))
def test_whatever_events_say_a_line_can_be_read(events: list[CallEvent]) -> None:
    rows = rows_of(events)
    for each in rows:
        (fields,) = csv.reader([csv_line(each)])
        assert len(fields) == len(COLUMNS)
        assert all(field.isprintable() for field in fields)
        assert not any(field.startswith(("=", "+", "-", "@")) for field in fields)
        assert msgspec.json.decode(json_line(each), type=BilledRow) == each
