"""Which calls an address-of-record has a part in: an index over the events of `records.db`.

In: events as they are committed and deleted. Out: call keys in order of time. Plain blocking code
on the connection of its database. Counterpart: `database.py`.

It is made of the events alone, so a file that comes without it, or lost it, gets it when it is
opened. A row whose event has gone finds a call that is looked at in vain, and nothing worse.
"""

from collections.abc import Iterable
from typing import Final

import apsw
import msgspec

from overlay.records import call
from overlay.records.call import EventKind
from overlay.records.names import aor_of_uri
from overlay.storage.schema import BODY, disk_errors, transaction

_KINDS: Final = (EventKind.START, EventKind.ATTEMPT, EventKind.STOP)
"""One of these is the first of a call's events, whatever is missing."""
_BATCH: Final = 10_000

PartyRow = tuple[str, int, bytes]
"""Address-of-record, time in us, call key."""


def parties_of(call_key: bytes, body: bytes) -> list[PartyRow]:
    """An event's rows."""
    try:
        event = call.decode(body)
    except msgspec.MsgspecError:
        return []
    if event.kind not in _KINDS:
        return []
    sides = map(aor_of_uri, (event.from_uri, event.to_uri))
    names = dict.fromkeys((*sides, event.subscriber))
    return [(name, event.time_us, call_key) for name in names if name]


def add(connection: apsw.Connection, events: Iterable[tuple[bytes, bytes]]) -> None:
    """Index these events, (call key, body) each."""
    connection.executemany(
        "INSERT OR IGNORE INTO parties VALUES (?, ?, ?)",
        [row for key, body in events for row in parties_of(key, body)],
    )


def forget(connection: apsw.Connection, call_key: bytes) -> None:
    """The call's events are about to be deleted."""
    bodies = list(connection.execute(f"SELECT {BODY} FROM events WHERE call_key = ?", (call_key,)))
    connection.executemany(
        "DELETE FROM parties WHERE (aor, time_us, call_key) = (?, ?, ?)",
        [row for (body,) in bodies for row in parties_of(call_key, body)],
    )


def fill(connection: apsw.Connection) -> None:
    """Index a file that has events and no index."""
    with disk_errors():
        (empty,) = next(
            connection.execute(
                "SELECT NOT EXISTS (SELECT 1 FROM parties) AND EXISTS (SELECT 1 FROM events)"
            )
        )
    after = (b"", b"")
    while empty:
        with transaction(connection):
            rows = list(
                connection.execute(
                    f"SELECT call_key, event_id, {BODY} FROM events "
                    "WHERE (call_key, event_id) > (?, ?) ORDER BY call_key, event_id LIMIT ?",
                    (*after, _BATCH),
                )
            )
            add(connection, ((key, body) for key, _, body in rows))
        if len(rows) < _BATCH:
            return
        after = rows[-1][:2]


AFTER: Final = (
    "SELECT time_us, call_key FROM parties WHERE aor = ? AND (time_us, call_key) > (?, ?) "
    "AND time_us < ? ORDER BY time_us, call_key"
)
"""Calls of an address-of-record, in order of time."""
