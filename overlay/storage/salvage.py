"""Replaces a file that SQLite calls corrupt by a new one with all rows that can still be read.

In: the broken file. Out: a sound file with every row that can be read and has the right checksum;
beside it the broken one, as `records.db.corrupt-<UTC time>`, for whoever wants to look deeper.
Counterparts: `records_disk.py` and `bindings_database.py`. Repair fetches the other rows from other
replicas. A row that only this disk had, and that cannot be read, is lost.

The new file gets its name only when it is complete, so a crash on the way does no harm.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import apsw

from overlay.storage import page_scan
from overlay.storage.damage import Damage, aside_of
from overlay.storage.schema import Schema, checksum, connect, transaction

log = logging.getLogger(__name__)

BATCH_ROWS: Final = 1_000
TABLES: Final = (
    "events",
    "subscribers",
    "bindings",
    "journal",
    "peers",
    "revocations",
    "settings",
    "incarnation",
    "chain",
    "rotten",
)
"""The tables that are copied. The sinks are not: when they are named again, every call is due at
every sink, and the marks among its events say what a sink has."""
_WITH_CHECKSUM: Final = ("events", "subscribers", "bindings")

SavedRow = tuple[Any, ...]


def rebuild(path: Path, schema: Schema, damage: Damage) -> None:
    """Replace a broken file by a sound one. Nobody may have it open.

    Raises `StorageError`, and has changed nothing then.
    """
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with closing(connect(new, schema)) as target:
        kept = _take_along(path, target)
    aside = aside_of(path)
    path.rename(aside)
    with suppress(FileNotFoundError):
        path.with_name(path.name + "-wal").rename(aside.with_name(aside.name + "-wal"))
    finish(path)
    damage.rebuilt += 1
    damage.look_for_files(path.parent)
    log.error(
        "%s is broken and set aside as %s; could be read and was kept: %s",
        path.name,
        aside.name,
        ", ".join(f"{count} {table}" for table, count in kept.items() if count) or "nothing",
    )


def finish(path: Path) -> None:
    """Finish what a crash may have interrupted: if the old file is gone, the new one is
    complete."""
    new = path.with_name(path.name + ".new")
    if path.exists() or not new.exists():
        return
    # The write-ahead log belongs to the broken file.
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    new.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _take_along(path: Path, target: apsw.Connection) -> dict[str, int]:
    """Copy the rows that can be read; how many of each table."""
    kept: dict[str, int] = {}
    known = {name for (name,) in target.execute("SELECT name FROM sqlite_schema")}
    tables = [table for table in TABLES if table in known]
    if "events" in tables:
        kept["events"] = _copy(page_scan.events(path), target, "events")
    with closing(apsw.Connection(str(path))) as source:
        source.set_busy_timeout(5_000)
        for table in tables:
            kept[table] = kept.get(table, 0) + _copy(_sound(source, table), target, table)
    return kept


def _copy(rows: Iterator[SavedRow], target: apsw.Connection, table: str) -> int:
    count, more = 0, True
    while more:
        with transaction(target):
            for number, row in enumerate(rows, 1):
                marks = ", ".join("?" * len(row))
                with suppress(apsw.ConstraintError):
                    target.execute(f"INSERT INTO {table} VALUES ({marks})", row)
                    count += 1
                if number == BATCH_ROWS:
                    break
            else:
                more = False
    return count


def _sound(source: apsw.Connection, table: str) -> Iterator[SavedRow]:
    """The rows that can be read and are as they were written. Some may come twice."""
    if table not in _WITH_CHECKSUM:
        yield from _readable(source, table)
        return
    of_today = _has_checksums(source)
    for row in _readable(source, table):
        values = row[:-1] if of_today else row
        total = checksum(*values)
        if not of_today or row[-1] == total:
            yield (*values, total)


def _has_checksums(source: apsw.Connection) -> bool:
    try:
        return int(source.pragma("user_version")) >= 2
    except apsw.Error:
        return True


def _readable(source: apsw.Connection, table: str) -> Iterator[SavedRow]:
    """The rows from the first one up to a broken page; then those from the last one down to a
    broken page."""
    for order in ("", " ORDER BY 1 DESC"):
        try:
            yield from source.execute(f"SELECT * FROM {table}{order}")
        except (apsw.Error, UnicodeDecodeError):
            continue
        return
