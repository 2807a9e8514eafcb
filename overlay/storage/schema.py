"""The tables of the node's SQLite files, their versions, and how a file is opened.

In: a path. Out: a connection to a file of today's schema; `StorageError` when the disk refuses.
Counterparts: `database.py` and `bindings_database.py`.

Every row that matters has a checksum over its other columns: SQLite accepts what the disk hands it,
and a body that changed by one bit may still be decoded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from zlib import crc32

import apsw
import msgspec

from overlay.base.errors import CorruptError, DeviceError, StorageError
from overlay.storage import outbox

SCHEMA_VERSION: Final = 2
# The cast makes bytes of the column even if a rotten row header calls it text: bytes that are no
# text cannot be read as text.
BODY: Final = "CAST(body AS BLOB)"
EVENT_SUM: Final = (
    "row_sum(events.call_key, events.event_id, events.time_us, CAST(events.body AS BLOB))"
)
SUBSCRIBER_SUM: Final = (
    "row_sum(subscribers.key, CAST(subscribers.aor AS BLOB), CAST(subscribers.body AS BLOB))"
)
ROTTEN: Final = """
CREATE TABLE IF NOT EXISTS rotten (
    number INTEGER PRIMARY KEY, origin TEXT NOT NULL, key BLOB NOT NULL, body
);
"""
"""The rows that were set aside, for people who want to know what happened to them. No code reads
them."""


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """The schema of one file."""

    tables: str
    from_1: tuple[str, ...]
    """The statements that turn a file of version 1 into one of version 2."""
    synchronous: str
    log_pages: int
    """How many pages SQLite's own log may have before they are copied into the file. With more
    pages, a page that changes often is copied only once, but the copying, and a start, take
    longer."""


RECORDS: Final = Schema(
    synchronous="full",
    log_pages=4_000,
    tables="""
CREATE TABLE IF NOT EXISTS events (
    call_key BLOB NOT NULL, event_id BLOB NOT NULL, time_us INTEGER NOT NULL, body BLOB NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (call_key, event_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_by_time ON events (time_us, call_key);
CREATE TABLE IF NOT EXISTS subscribers (
    key BLOB PRIMARY KEY, aor TEXT NOT NULL UNIQUE, body BLOB NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (
    event_id BLOB PRIMARY KEY, call_key BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS journal_by_call ON journal (call_key);
CREATE TABLE IF NOT EXISTS peers (
    node_id BLOB PRIMARY KEY, name TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revocations (
    one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS settings (
    one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS parties (
    aor TEXT NOT NULL, time_us INTEGER NOT NULL, call_key BLOB NOT NULL,
    PRIMARY KEY (aor, time_us, call_key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chain (one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS events_chained ON events (time_us, call_key)
    WHERE event_id >= x'ffffffffffffffff';
CREATE TABLE IF NOT EXISTS incarnation (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);
"""
    + ROTTEN
    + outbox.SCHEMA,
    from_1=(
        "ALTER TABLE events ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0",
        "UPDATE events SET checksum = row_sum(call_key, event_id, time_us, body)",
        "ALTER TABLE subscribers ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0",
        "UPDATE subscribers SET checksum = row_sum(key, CAST(aor AS BLOB), body)",
    ),
)
BINDINGS: Final = Schema(
    synchronous="normal",
    log_pages=1_000,
    tables="""
CREATE TABLE IF NOT EXISTS bindings (
    key BLOB PRIMARY KEY, body BLOB NOT NULL, checksum INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""
    + ROTTEN,
    from_1=(
        "ALTER TABLE bindings ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0",
        "UPDATE bindings SET checksum = row_sum(key, body)",
    ),
)


def checksum(*values: object) -> int:
    """The checksum of a row's columns, whatever types they have become."""
    total = 0
    for value in values:
        total = crc32(value if isinstance(value, bytes) else str(value).encode(), total)
    return total


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raises SQLite's errors as `StorageError`."""
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError) as error:
        raise CorruptError(f"{type(error).__name__}: {error}") from error
    except apsw.IOError as error:
        raise DeviceError(f"{type(error).__name__}: {error}") from error
    except apsw.Error as error:
        raise StorageError(f"{type(error).__name__}: {error}") from error


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """A transaction: all or nothing. A full disk makes SQLite roll back by itself, which is no
    second error."""
    with disk_errors():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def connect(path: Path | None, schema: Schema, vfs: str | None = None) -> apsw.Connection:
    """Open a file, or, without a path, a database in memory. A file of an older version is
    upgraded.

    `vfs` names SQLite's way to the file; the default is SQLite's own.
    """
    with disk_errors():
        connection = apsw.Connection(str(path) if path else ":memory:", vfs=vfs)
    try:
        _prepare(connection, path, schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: apsw.Connection, path: Path | None, schema: Schema) -> None:
    with disk_errors():
        connection.set_busy_timeout(5_000)
        found = connection.pragma("user_version")
        if found not in (0, 1, SCHEMA_VERSION):
            raise StorageError(f"{path}: made by another version (schema {found})")
        connection.create_scalar_function("row_sum", checksum, -1, deterministic=True)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", schema.synchronous)
        connection.pragma("wal_autocheckpoint", schema.log_pages)
        connection.pragma("cache_size", -16_384)
        with transaction(connection):
            if connection.pragma("user_version") == 1:
                for statement in schema.from_1:
                    connection.execute(statement)
            # The file may be of this version and still older than some of its tables, which are
            # created here.
            connection.execute(schema.tables)
            if connection.pragma("user_version") != SCHEMA_VERSION:
                connection.pragma("user_version", SCHEMA_VERSION)
