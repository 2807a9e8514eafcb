"""Removes rows from `records.db`: rows that have rotted, and calls that are past.

In: which rows, and the connection of the database, inside a transaction. Out: room. Counterparts:
`database.py`; `damage.py` names the rows that have rotted, `overlay.billing.retention` the calls
that are past.
"""

import apsw

from overlay.base.limits import ROTTEN_ROWS_MAX
from overlay.storage import party_index
from overlay.storage.rows import PastCalls, RottenRow
from overlay.storage.schema import EVENT_SUM, SUBSCRIBER_SUM

_NEEDED = (
    "(EXISTS (SELECT 1 FROM outbox WHERE call_key = :key) "
    "OR EXISTS (SELECT 1 FROM journal WHERE call_key = :key))"
)
_NEWEST = "(SELECT max(time_us) FROM events WHERE call_key = :key)"


def past_calls(
    connection: apsw.Connection, after: tuple[int, bytes], before_us: int, limit: int
) -> tuple[tuple[bytes, ...], tuple[int, bytes] | None]:
    """The calls without an event since `before_us` that no sink and no journal needs; and where to
    go on, None at the end."""
    rows = list(
        connection.execute(
            "SELECT time_us, call_key FROM events WHERE (time_us, call_key) > (?, ?) "
            "AND time_us < ? ORDER BY time_us, call_key LIMIT ?",
            (*after, before_us, limit),
        )
    )
    chosen = f"SELECT {_NEWEST} < :before AND NOT {_NEEDED}"
    past = []
    for key in dict.fromkeys(key for _, key in rows):
        if next(connection.execute(chosen, {"key": key, "before": before_us}))[0]:
            past.append(key)
    return tuple(past), rows[-1] if len(rows) == limit else None


def delete_past(connection: apsw.Connection, past: PastCalls) -> None:
    """Delete these calls. A call that had an event meanwhile, or that is needed, stays."""
    chosen = f"SELECT {_NEWEST} < :before AND NOT {_NEEDED}"
    for key in past.keys:
        if next(connection.execute(chosen, {"key": key, "before": past.before_us}))[0]:
            party_index.forget(connection, key)
            connection.execute("DELETE FROM events WHERE call_key = ?", (key,))


def set_aside(connection: apsw.Connection, row: RottenRow) -> None:
    """Set this row aside, unless a sound copy has replaced it meanwhile."""
    if row.table == "events":
        which = f"events WHERE (call_key, event_id) = (?, ?) AND checksum IS NOT {EVENT_SUM}"
    else:
        which = f"subscribers WHERE key = ? AND checksum IS NOT {SUBSCRIBER_SUM}"
    connection.execute(
        f"INSERT INTO rotten (origin, key, body) SELECT ?, ?, body FROM {which}",
        (row.table, b"".join(row.key), *row.key),
    )
    if not connection.changes():
        return
    connection.execute(f"DELETE FROM {which}", row.key)
    if row.table == "events":
        # This node has no copy left that could be brought to other disks.
        connection.execute("DELETE FROM journal WHERE event_id = ?", (row.key[1],))
    connection.execute(
        "DELETE FROM rotten WHERE number <= (SELECT max(number) FROM rotten) - ?",
        (ROTTEN_ROWS_MAX,),
    )
