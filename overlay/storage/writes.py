"""How each kind of row is written to `records.db`, within one transaction.

In: rows of `rows.py`. Out: changed tables. Counterpart: `database.py` opens the transaction.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import apsw

from overlay.records.call import CHAINED_FROM
from overlay.storage import party_index, removals
from overlay.storage.outbox import Outbox, OutboxEntry, Sinks
from overlay.storage.rows import (
    EventRow,
    IncarnationRow,
    JournalDone,
    PastCalls,
    Peers,
    RevocationsRow,
    RottenRow,
    Row,
    SettingsRow,
    SubscriberRow,
)
from overlay.storage.schema import EVENT_SUM, checksum

Write = Callable[[apsw.Connection, Outbox, Sequence[Any]], None]


def apply(connection: apsw.Connection, outbox: Outbox, rows: Iterable[Row]) -> None:
    """Write all rows, kind by kind, in the order of `_WRITES`."""
    by_kind: dict[type[Any], list[Any]] = {}
    for row in rows:
        by_kind.setdefault(type(row), []).append(row)
    for kind, write in _WRITES.items():
        if kind in by_kind:
            write(connection, outbox, by_kind.pop(kind))
    assert not by_kind, f"rows that nothing writes: {by_kind.keys()}"


def _rotten(connection: apsw.Connection, _: Outbox, rows: Sequence[RottenRow]) -> None:
    for row in rows:
        removals.set_aside(connection, row)


def _past(connection: apsw.Connection, _: Outbox, rows: Sequence[PastCalls]) -> None:
    for row in rows:
        removals.delete_past(connection, row)


def _sinks(_: apsw.Connection, outbox: Outbox, rows: Sequence[Sinks]) -> None:
    outbox.choose(rows[-1].names)


def _settled(_: apsw.Connection, outbox: Outbox, rows: Sequence[OutboxEntry]) -> None:
    outbox.settle(rows)


def _events(connection: apsw.Connection, outbox: Outbox, rows: Sequence[EventRow]) -> None:
    """Write events. Of two versions of one event the earlier stays
    (`overlay.records.call.earlier`)."""
    values = [(row.call_key, row.event_id, row.time_us, row.body) for row in rows]
    connection.executemany(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "time_us = excluded.time_us, body = excluded.body, checksum = excluded.checksum "
        "WHERE (excluded.time_us, excluded.body) < (events.time_us, events.body) "
        f"OR events.checksum IS NOT {EVENT_SUM}",
        [(*row, checksum(*row)) for row in values],
    )
    party_index.add(connection, ((row.call_key, row.body) for row in rows))
    outbox.add(dict.fromkeys(row.call_key for row in rows if row.event_id < CHAINED_FROM))
    journalled = [(row.event_id, row.call_key) for row in rows if row.journal]
    if journalled:
        connection.executemany("INSERT OR IGNORE INTO journal VALUES (?, ?)", journalled)
    head = next((row.head for row in reversed(rows) if row.head), b"")
    if head:
        connection.execute("INSERT OR REPLACE INTO chain VALUES (1, ?)", (head,))


def _journal_done(connection: apsw.Connection, _: Outbox, rows: Sequence[JournalDone]) -> None:
    done = [(row.event_id,) for row in rows]
    connection.executemany("DELETE FROM journal WHERE event_id = ?", done)


def _subscribers(connection: apsw.Connection, _: Outbox, rows: Sequence[SubscriberRow]) -> None:
    values = [(row.key, row.aor, row.body) for row in rows]
    connection.executemany(
        "INSERT OR REPLACE INTO subscribers VALUES (?, ?, ?, ?)",
        [(*row, checksum(*row)) for row in values],
    )


def _revocations(connection: apsw.Connection, _: Outbox, rows: Sequence[RevocationsRow]) -> None:
    connection.execute("INSERT OR REPLACE INTO revocations VALUES (1, ?)", (rows[-1].body,))


def _settings(connection: apsw.Connection, _: Outbox, rows: Sequence[SettingsRow]) -> None:
    connection.execute("INSERT OR REPLACE INTO settings VALUES (1, ?)", (rows[-1].body,))


def _incarnation(connection: apsw.Connection, _: Outbox, rows: Sequence[IncarnationRow]) -> None:
    connection.execute("INSERT OR REPLACE INTO incarnation VALUES (1, ?)", (rows[-1].value,))


def _peers(connection: apsw.Connection, _: Outbox, rows: Sequence[Peers]) -> None:
    connection.execute("DELETE FROM peers")
    connection.executemany(
        "INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?)",
        [(peer.node_id, peer.name, peer.host, peer.port) for peer in rows[-1].peers],
    )


_WRITES: Final[dict[type[Any], Write]] = {
    # Rows that leave come before the rows that replace them.
    RottenRow: _rotten,
    PastCalls: _past,
    # The sinks come before the calls that they are to be told of.
    Sinks: _sinks,
    OutboxEntry: _settled,
    EventRow: _events,
    # The note comes after the event, which may be in the same batch.
    JournalDone: _journal_done,
    SubscriberRow: _subscribers,
    RevocationsRow: _revocations,
    SettingsRow: _settings,
    IncarnationRow: _incarnation,
    Peers: _peers,
}
