"""Finds call events in the raw pages of a broken `records.db`.

In: the file and its log. Out: rows of `events` with the right checksum, wherever in the file they
are. Counterpart: `salvage.py`. SQLite finds rows by way of other pages, and a broken page hides
every page below it. The rows themselves are sound, and their checksums prove that they are rows.
SQLite's own recovery needs a build that Debian 12 does not have (DESIGN.md, "Rejected").

The format is that of https://www.sqlite.org/fileformat2.html, sections 1.6 (index pages, which
tables without rowid consist of), 2.1 (records) and 4.1 (the log).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeGuard

from overlay.storage.schema import checksum

PAGE: Final = 4_096
"""SQLite's default page size in bytes, which the daemon does not change."""
WAL_HEADER: Final = 32
FRAME_HEADER: Final = 24
_INTERIOR, _LEAF = 0x02, 0x0A
_LOCAL_MAX: Final = (PAGE - 12) * 64 // 255 - 23
_LOCAL_MIN: Final = (PAGE - 12) * 32 // 255 - 23
_INTEGER_BYTES: Final = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
EventColumns = tuple[bytes, bytes, int, bytes, int]


def events(path: Path) -> Iterator[EventColumns]:
    """The event rows in the file and in its log. The same row may come more than once."""
    wal = path.with_name(path.name + "-wal")
    for file, skip, header in ((path, 0, 0), (wal, WAL_HEADER, FRAME_HEADER)):
        if not file.exists():
            continue
        with file.open("rb") as pages, path.open("rb") as overflow:
            pages.seek(skip)
            while len(frame := pages.read(header + PAGE)) == header + PAGE:
                for payload, rest, following in _cells(frame[header:]):
                    row = _columns(payload + _overflow(overflow.fileno(), rest, following))
                    if _is_event(row):
                        yield row


def _is_event(row: tuple[object, ...]) -> TypeGuard[EventColumns]:
    return len(row) == 5 and isinstance(row[3], bytes) and checksum(*row[:4]) == row[4]


def _cells(page: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The cells of an index page: the bytes that the cell itself contains, how many more follow,
    and on which page they begin."""
    kind = page[0]
    if kind not in (_INTERIOR, _LEAF):
        return
    interior = kind == _INTERIOR
    first = 12 if interior else 8
    for number in range(min(int.from_bytes(page[3:5], "big"), PAGE // 4)):
        at = first + 2 * number
        begin = int.from_bytes(page[at : at + 2], "big") + 4 * interior
        size, begin = _varint(page, begin)
        local = size
        if size > _LOCAL_MAX:
            local = _LOCAL_MIN + (size - _LOCAL_MIN) % (PAGE - 4)
            local = local if local <= _LOCAL_MAX else _LOCAL_MIN
        end = begin + local
        yield page[begin:end], size - local, int.from_bytes(page[end : end + 4], "big")


def _overflow(file: int, size: int, number: int) -> bytes:
    """The bytes that follow on other pages; fewer if those are broken."""
    parts = []
    for _ in range(size // (PAGE - 4) + 1 if 0 < size < 1 << 24 else 0):
        if not number:
            break
        page = os.pread(file, PAGE, (number - 1) * PAGE)
        parts.append(page[4:])
        number = int.from_bytes(page[:4], "big")
    return b"".join(parts)[:size]


def _columns(record: bytes) -> tuple[object, ...]:
    """A record's values; empty if the bytes are not a record of integers and blobs alone."""
    header, at = _varint(record, 0)
    if not at < header <= 64:
        return ()
    begin = header
    values: list[object] = []
    while at < header:
        kind, at = _varint(record, at)
        if kind >= 12 and kind % 2 == 0:
            size = (kind - 12) // 2
            values.append(record[begin : begin + size])
        elif kind in _INTEGER_BYTES:
            size = _INTEGER_BYTES[kind]
            stored = int.from_bytes(record[begin : begin + size], "big", signed=True)
            values.append(1 if kind == 9 else stored)
        else:
            return ()
        begin += size
    return tuple(values)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends; 0 past the end of the data."""
    value = 0
    for position in range(at, min(at + 8, len(data))):
        value = value << 7 | data[position] & 0x7F
        if data[position] < 0x80:
            return value, position + 1
    return 0, len(data)
