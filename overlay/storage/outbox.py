"""Which calls each sink has yet to be told of: tables of `records.db`, written together with the
events.

In: keys of calls whose events changed; what became of an entry at its sink. Out: the entries that
are due. This is plain blocking code on the connection of its database. Counterpart:
`overlay.billing.exporter`.

An entry is written in the transaction of the event that makes it necessary. It is deleted when the
sink has taken the call's record. Its stamp tells whether further events came in the meantime.
"""

from collections.abc import Iterable
from typing import Final

import apsw
import msgspec

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sinks (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    sink TEXT NOT NULL, call_key BLOB NOT NULL, due_us INTEGER NOT NULL, stamp INTEGER NOT NULL,
    PRIMARY KEY (sink, call_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outbox_by_due ON outbox (sink, due_us, stamp);
CREATE INDEX IF NOT EXISTS outbox_by_call ON outbox (call_key);
"""


class Sinks(msgspec.Struct, frozen=True, kw_only=True):
    """The sinks that there are. They replace those from before."""

    names: tuple[str, ...]


class OutboxEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One call and one sink. As a row to commit, it says what became of the call at the sink."""

    sink: str
    call_key: bytes
    stamp: int
    """Grows with every event. If the entry has another stamp by now, it is left alone."""
    due_us: int = 0
    """When to try again, as Unix time in us; 0: never, because the sink has all."""


class Outbox:
    """The entries of one database."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._sinks = [name for (name,) in connection.execute("SELECT name FROM sinks")]
        self._stamp = int(next(connection.execute("SELECT coalesce(max(stamp), 0) FROM outbox"))[0])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sinks."""
        return tuple(self._sinks)

    def choose(self, names: Iterable[str]) -> None:
        """Have only these sinks from now on. A new sink has yet to be told of all calls."""
        wanted = set(names)
        execute = self._connection.execute
        for name in set(self._sinks) - wanted:
            execute("DELETE FROM outbox WHERE sink = ?", (name,))
            execute("DELETE FROM sinks WHERE name = ?", (name,))
        for name in sorted(wanted - set(self._sinks)):
            execute("INSERT INTO sinks VALUES (?)", (name,))
            self._stamp += 1
            execute(
                "INSERT OR IGNORE INTO outbox SELECT DISTINCT ?, call_key, 0, ? FROM events",
                (name, self._stamp),
            )
        self._sinks = sorted(wanted)

    def add(self, call_keys: Iterable[bytes]) -> None:
        """Note that these calls have a new event."""
        if not self._sinks:
            return
        self._stamp += 1
        self._connection.executemany(
            "INSERT OR REPLACE INTO outbox VALUES (?, ?, 0, ?)",
            [(sink, key, self._stamp) for key in call_keys for sink in self._sinks],
        )

    def settle(self, entries: Iterable[OutboxEntry]) -> None:
        """Note what became of these entries."""
        for entry in entries:
            which = (entry.sink, entry.call_key, entry.stamp)
            if entry.due_us:
                self._connection.execute(
                    "UPDATE outbox SET due_us = ? WHERE sink = ? AND call_key = ? AND stamp = ?",
                    (entry.due_us, *which),
                )
            else:
                self._connection.execute(
                    "DELETE FROM outbox WHERE sink = ? AND call_key = ? AND stamp = ?", which
                )

    def due(self, sink: str, now_us: int, limit: int) -> list[OutboxEntry]:
        """The sink's entries that are due; those that have waited longest come first."""
        rows = self._connection.execute(
            "SELECT call_key, stamp FROM outbox WHERE sink = ? AND due_us <= ? "
            "ORDER BY due_us, stamp LIMIT ?",
            (sink, now_us, limit),
        )
        return [OutboxEntry(sink=sink, call_key=key, stamp=stamp) for key, stamp in rows]

    def backlog(self, sink: str, now_us: int) -> int:
        """How many of the sink's entries are due."""
        rows = self._connection.execute(
            "SELECT count(*) FROM outbox WHERE sink = ? AND due_us <= ?", (sink, now_us)
        )
        return int(next(rows)[0])
