"""The node's SQLite files, as plain blocking code that runs in a storage thread.

In: batches of writes, questions. Out: rows; `StorageError` when the disk refuses. Counterparts:
`committer.py` batches the writes of `records.db`, `bindings.py` those of `bindings.db`.

`records.db` is durable: WAL with synchronous=FULL, so a commit that returned survives power loss.
`bindings.db` is written behind: registrations are safe by being on several nodes, and the file only
lets them survive a restart of all.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw
import msgspec

from overlay.errors import StorageError
from overlay.limits import PAGE_BYTES_MAX
from overlay.links.messages import NodeInfo
from overlay.storage import outbox
from overlay.storage.outbox import Outbox, OutboxEntry, Sinks

_RECORDS_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    call_key BLOB NOT NULL, event_id BLOB NOT NULL, time_us INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (call_key, event_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_by_time ON events (time_us, call_key);
CREATE TABLE IF NOT EXISTS subscribers (
    key BLOB PRIMARY KEY, aor TEXT NOT NULL UNIQUE, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (
    event_id BLOB PRIMARY KEY, call_key BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS peers (
    node_id BLOB PRIMARY KEY, name TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revocations (
    one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS incarnation (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);
PRAGMA user_version = 1;
"""
_BINDINGS_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS bindings (key BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
SCHEMA_VERSION: Final = 1


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """A call event on its way to disk."""

    call_key: bytes
    event_id: bytes
    time_us: int
    body: bytes
    journal: bool | None = None
    """True: also note that it is not yet on W disks; False: take that note away."""


class SubscriberRow(msgspec.Struct, frozen=True, kw_only=True):
    """A subscriber record on its way to disk."""

    key: bytes
    aor: str
    body: bytes


class JournalDone(msgspec.Struct, frozen=True, kw_only=True):
    """This event is on W disks now."""

    event_id: bytes


class IncarnationRow(msgspec.Struct, frozen=True, kw_only=True):
    """The incarnation that this run of the node began with."""

    value: int


class Peers(msgspec.Struct, frozen=True, kw_only=True):
    """The peers to remember, in place of those remembered before."""

    peers: tuple[NodeInfo, ...]


class RevocationsRow(msgspec.Struct, frozen=True, kw_only=True):
    """The revocation list that is in force, in place of the one before."""

    body: bytes


Row = (
    EventRow
    | SubscriberRow
    | JournalDone
    | Peers
    | RevocationsRow
    | IncarnationRow
    | Sinks
    | OutboxEntry
)
CallRow = tuple[int, bytes, tuple[bytes, ...]]
"""Time in us, call key, bodies of the call's events."""


@contextmanager
def disk_errors() -> Iterator[None]:
    """SQLite's errors as `StorageError`."""
    try:
        yield
    except apsw.Error as error:
        raise StorageError(f"{type(error).__name__}: {error}") from error


@contextmanager
def _transaction(connection: apsw.Connection) -> Iterator[None]:
    """All or nothing. A full disk makes SQLite roll back by itself, which is no second error."""
    with disk_errors():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _open(path: Path | None, schema: str, synchronous: str) -> apsw.Connection:
    with disk_errors():
        connection = apsw.Connection(str(path) if path else ":memory:")
        connection.set_busy_timeout(5_000)
        found = connection.pragma("user_version")
        if found not in (0, SCHEMA_VERSION):
            connection.close()
            raise StorageError(f"{path}: made by another version (schema {found})")
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", synchronous)
        connection.pragma("cache_size", -16_384)
        connection.execute(schema)
        return connection


class RecordsDatabase:
    """`records.db`; one instance belongs to one thread at a time."""

    def __init__(self, directory: Path | None) -> None:
        """Open the file; without a directory the database is in memory and ends with this."""
        path = directory / "records.db" if directory else None
        self._connection = _open(path, _RECORDS_SCHEMA + outbox.SCHEMA, "full")
        with disk_errors():
            self._outbox = Outbox(self._connection)

    def close(self) -> None:
        """Checkpoint and close."""
        self._connection.close()

    def commit(self, rows: Iterable[Row]) -> None:
        """All rows in one transaction, on disk when this returns.

        Of two versions of one event the earlier stays (`overlay.records.call.earlier`).
        """
        events: list[tuple[bytes, bytes, int, bytes]] = []
        journal: list[tuple[bytes, bytes]] = []
        done: list[tuple[bytes]] = []
        subscribers: list[tuple[bytes, str, bytes]] = []
        peers: tuple[NodeInfo, ...] | None = None
        revocations = b""
        incarnation = 0
        sinks: Sinks | None = None
        settled: list[OutboxEntry] = []
        for row in rows:
            if isinstance(row, EventRow):
                events.append((row.call_key, row.event_id, row.time_us, row.body))
                if row.journal:
                    journal.append((row.event_id, row.call_key))
            elif isinstance(row, SubscriberRow):
                subscribers.append((row.key, row.aor, row.body))
            elif isinstance(row, JournalDone):
                done.append((row.event_id,))
            elif isinstance(row, RevocationsRow):
                revocations = row.body
            elif isinstance(row, IncarnationRow):
                incarnation = row.value
            elif isinstance(row, OutboxEntry):
                settled.append(row)
            elif isinstance(row, Sinks):
                sinks = row
            else:
                peers = row.peers
        connection = self._connection
        with _transaction(connection):
            connection.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "time_us = excluded.time_us, body = excluded.body WHERE "
                "(excluded.time_us, excluded.body) < (events.time_us, events.body)",
                events,
            )
            if sinks is not None:
                self._outbox.choose(sinks.names)
            self._outbox.settle(settled)
            self._outbox.add(dict.fromkeys(event[0] for event in events))
            if journal:
                connection.executemany("INSERT OR IGNORE INTO journal VALUES (?, ?)", journal)
            if done:
                connection.executemany("DELETE FROM journal WHERE event_id = ?", done)
            if subscribers:
                connection.executemany(
                    "INSERT OR REPLACE INTO subscribers VALUES (?, ?, ?)", subscribers
                )
            if revocations:
                connection.execute(
                    "INSERT OR REPLACE INTO revocations VALUES (1, ?)", (revocations,)
                )
            if incarnation:
                connection.execute(
                    "INSERT OR REPLACE INTO incarnation VALUES (1, ?)", (incarnation,)
                )
            if peers is not None:
                connection.execute("DELETE FROM peers")
                connection.executemany(
                    "INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?)",
                    [(peer.node_id, peer.name, peer.host, peer.port) for peer in peers],
                )

    def events(self, call_key: bytes) -> tuple[bytes, ...]:
        """The bodies of a call's events."""
        with disk_errors():
            rows = self._connection.execute(
                "SELECT body FROM events WHERE call_key = ?", (call_key,)
            )
            return tuple(body for (body,) in rows)

    def calls_after(
        self, after: tuple[int, bytes], until_us: int, limit: int
    ) -> tuple[tuple[CallRow, ...], bool]:
        """Calls with an event after `after` in order of (time, key), and whether there are more.

        A call comes at its first event after `after`; who lists tells by the bodies whether it
        was listed before.
        """
        page: list[CallRow] = []
        seen: set[bytes] = set()
        size, more = 0, False
        with disk_errors():
            rows = self._connection.execute(
                "SELECT time_us, call_key FROM events WHERE (time_us, call_key) > (?, ?) "
                "AND time_us < ? ORDER BY time_us, call_key",
                (*after, until_us),
            )
            for time_us, call_key in rows:
                if call_key in seen:
                    continue
                if len(page) == limit or size > PAGE_BYTES_MAX:
                    more = True
                    break
                bodies = self.events(call_key)
                seen.add(call_key)
                page.append((time_us, call_key, bodies))
                size += sum(map(len, bodies))
        return tuple(page), more

    def call_keys_after(self, after: bytes, limit: int) -> list[bytes]:
        """Call keys in order."""
        with disk_errors():
            rows = self._connection.execute(
                "SELECT DISTINCT call_key FROM events WHERE call_key > ? ORDER BY call_key LIMIT ?",
                (after, limit),
            )
            return [key for (key,) in rows]

    def count_calls(self) -> int:
        """How many calls have an event here."""
        with disk_errors():
            (count,) = next(self._connection.execute("SELECT count(DISTINCT call_key) FROM events"))
            return int(count)

    def journal(self, limit: int) -> list[tuple[bytes, bytes]]:
        """(event id, body) of events that are not yet on W disks."""
        with disk_errors():
            rows = self._connection.execute(
                "SELECT j.event_id, e.body FROM journal j JOIN events e USING (call_key, event_id) "
                "LIMIT ?",
                (limit,),
            )
            return list(rows)

    def journal_depth(self) -> int:
        """How many there are."""
        with disk_errors():
            (count,) = next(self._connection.execute("SELECT count(*) FROM journal"))
            return int(count)

    def outbox_due(
        self, sink: str, now_us: int, limit: int
    ) -> list[tuple[OutboxEntry, tuple[bytes, ...]]]:
        """Entries that are due, and their calls' events."""
        with disk_errors():
            entries = self._outbox.due(sink, now_us, limit)
        return [(entry, self.events(entry.call_key)) for entry in entries]

    def outbox_backlog(self, sink: str, now_us: int) -> int:
        """How many entries are due."""
        with disk_errors():
            return self._outbox.backlog(sink, now_us)

    def limit_pages(self, pages: int) -> int:
        """Let the file grow to no more than this many pages; how many it has now."""
        with disk_errors():
            self._connection.pragma("max_page_count", pages)
            return int(self._connection.pragma("page_count"))

    def subscribers(self) -> list[tuple[bytes, str, bytes]]:
        """All (key, aor, body)."""
        with disk_errors():
            return list(self._connection.execute("SELECT key, aor, body FROM subscribers"))

    def revocations(self) -> bytes:
        """The revocation list in force; empty if there is none."""
        with disk_errors():
            rows = self._connection.execute("SELECT body FROM revocations")
            return next((bytes(body) for (body,) in rows), b"")

    def incarnation(self) -> int:
        """What the last run of the node began with; 0 if there was none."""
        with disk_errors():
            rows = self._connection.execute("SELECT value FROM incarnation")
            return next((int(value) for (value,) in rows), 0)

    def peers(self) -> list[NodeInfo]:
        """Peers remembered from before."""
        with disk_errors():
            rows = self._connection.execute("SELECT node_id, name, host, port FROM peers")
            return [NodeInfo(node_id=i, name=n, host=h, port=p) for i, n, h, p in rows]


class BindingsDatabase:
    """`bindings.db`; one instance belongs to one thread at a time."""

    def __init__(self, directory: Path | None) -> None:
        """Open the file; without a directory the database is in memory and ends with this."""
        path = directory / "bindings.db" if directory else None
        self._connection = _open(path, _BINDINGS_SCHEMA, "normal")

    def close(self) -> None:
        """Checkpoint and close."""
        self._connection.close()

    def load(self) -> dict[bytes, bytes]:
        """Every record, by key."""
        with disk_errors():
            return dict(self._connection.execute("SELECT key, body FROM bindings"))

    def write(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Replace records; None deletes one."""
        kept, deleted = [], []
        for key, body in records:
            if body is None:
                deleted.append((key,))
            else:
                kept.append((key, body))
        connection = self._connection
        with _transaction(connection):
            connection.executemany("INSERT OR REPLACE INTO bindings VALUES (?, ?)", kept)
            connection.executemany("DELETE FROM bindings WHERE key = ?", deleted)
