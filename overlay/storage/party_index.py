"""An index over the events of `records.db`: in which calls an address-of-record has a part.

In: events as they are committed and deleted. Out: call keys in order of time. This is plain
blocking code on the connection of its database. Counterpart: `database.py`.

The index is made of the events alone. So a file that comes without it, or lost it, gets it when it
is opened. A row whose event is gone leads to a call that is looked at in vain, and does no other
harm.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import apsw
import msgspec

from overlay.records import call
from overlay.records.call import BEGINNINGS, CallEvent, EventKind
from overlay.records.names import aor_of_uri
from overlay.storage.schema import BODY, disk_errors, transaction

_BATCH: Final = 10_000

PartyRow = tuple[str, int, bytes]
"""Address-of-record, time in us, call key."""


def _event(body: bytes) -> CallEvent | None:
    """The event, if it is START, ATTEMPT or STOP: whichever events of a call are missing, its first
    event is one of these. None otherwise."""
    try:
        event = call.decode(body)
    except msgspec.MsgspecError:
        return None
    return event if event.kind in BEGINNINGS or event.kind is EventKind.STOP else None


def _names(event: CallEvent) -> Iterator[str]:
    sides = map(aor_of_uri, (event.from_uri, event.to_uri))
    return filter(None, dict.fromkeys((*sides, event.subscriber)))


def parties_of(call_key: bytes, body: bytes) -> list[PartyRow]:
    """The rows of an event."""
    event = _event(body)
    return [(name, event.time_us, call_key) for name in _names(event)] if event else []


def add(connection: apsw.Connection, events: Iterable[tuple[bytes, bytes]]) -> None:
    """Index these events, (call key, body) each. They are in the database already.

    A STOP is not indexed for an address for which the call's beginning is, unless the clocks put
    the beginning after the STOP. A call is listed at its first event, and each row of this index
    costs a page of the file.
    """
    rows: list[PartyRow] = []
    for call_key, body in events:
        event = _event(body)
        if event is None:
            continue
        is_stop = event.kind is EventKind.STOP
        begun = _begun(connection, call_key, event.time_us) if is_stop else set()
        rows += ((name, event.time_us, call_key) for name in _names(event) if name not in begun)
    connection.executemany("INSERT OR IGNORE INTO parties VALUES (?, ?, ?)", rows)


def _begun(connection: apsw.Connection, call_key: bytes, until_us: int) -> set[str]:
    """The addresses-of-record for which the call's beginning is indexed, at `until_us` or
    before."""
    found: set[str] = set()
    for body in _bodies(connection, call_key):
        event = _event(body)
        if event is not None and event.kind in BEGINNINGS and event.time_us <= until_us:
            found.update(_names(event))
    return found


def _bodies(connection: apsw.Connection, call_key: bytes) -> list[bytes]:
    query = f"SELECT {BODY} FROM events WHERE call_key = ?"
    return [body for (body,) in connection.execute(query, (call_key,))]


def forget(connection: apsw.Connection, call_key: bytes) -> None:
    """Remove the rows of a call whose events are about to be deleted."""
    connection.executemany(
        "DELETE FROM parties WHERE (aor, time_us, call_key) = (?, ?, ?)",
        [row for body in _bodies(connection, call_key) for row in parties_of(call_key, body)],
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
"""The calls of an address-of-record, in order of time."""
