"""`records.db`, as plain blocking code that runs in a storage thread.

In: batches of writes, questions. Out: rows that are as they were written; `StorageError` when the
disk refuses. Counterparts: `committer.py` batches the writes; `damage.py` is told of rotten rows.

The file is durable: it uses WAL with synchronous=FULL, so a commit that has returned survives a
loss of power.
"""

from collections.abc import Iterable
from pathlib import Path

import apsw

from overlay.base.limits import PAGE_BYTES_MAX
from overlay.records.call import CHAINED_FROM
from overlay.records.node_info import NodeInfo
from overlay.storage import party_index, removals, writes
from overlay.storage.damage import Damage
from overlay.storage.outbox import Outbox, OutboxEntry
from overlay.storage.rows import Row
from overlay.storage.schema import (
    BODY,
    RECORDS,
    SUBSCRIBER_SUM,
    checksum,
    connect,
    disk_errors,
    transaction,
)

_CHAINED_FROM = f"x'{CHAINED_FROM.hex()}'"
CallRow = tuple[int, bytes, tuple[bytes, ...]]
"""Time in us, call key, bodies of the call's events."""


class RecordsDatabase:
    """The database. One instance belongs to one thread at a time."""

    def __init__(
        self, directory: Path | None, damage: Damage | None = None, vfs: str | None = None
    ) -> None:
        """Open the file. Without a directory the database is in memory, and ends with this
        object."""
        self.damage = damage or Damage()
        self._connection = connect(directory / "records.db" if directory else None, RECORDS, vfs)
        try:
            with disk_errors():
                self._outbox = Outbox(self._connection)
            party_index.fill(self._connection)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Checkpoint and close. Raises `StorageError`, and is closed even then."""
        with disk_errors():
            self._connection.close()

    def secure(self) -> None:
        """After a failed sync, write to disk once more all that the file is said to have.

        A kernel considers pages clean that it failed to write. Copying them out of SQLite's log
        writes them anew, before anything is committed after them.
        """
        with disk_errors():
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    @property
    def sinks(self) -> tuple[str, ...]:
        """The sinks that calls are kept for."""
        return self._outbox.names

    def commit(self, rows: Iterable[Row]) -> None:
        """Write all rows in one transaction. They are on disk when this returns."""
        with transaction(self._connection):
            writes.apply(self._connection, self._outbox, rows)

    def events(self, call_key: bytes, since_us: int = 0) -> tuple[bytes, ...]:
        """The bodies of a call's events, without those that have rotted.

        Empty if the call has no event at `since_us` or later.
        """
        bodies, newest_us = [], 0
        with disk_errors():
            for event_id, time_us, body, stored in self._connection.execute(
                f"SELECT event_id, time_us, {BODY}, checksum FROM events WHERE call_key = ?",
                (call_key,),
            ):
                if checksum(call_key, event_id, time_us, body) == stored:
                    bodies.append(body)
                    newest_us = max(newest_us, time_us)
                else:
                    self.damage.found("events", call_key, event_id)
        return tuple(bodies) if newest_us >= since_us else ()

    def calls_after(
        self,
        after: tuple[int, bytes],
        until_us: int,
        limit: int,
        chained: bool = False,
        aor: str = "",
    ) -> tuple[tuple[CallRow, ...], bool]:
        """The calls with an event after `after`, ordered by (time, key), and whether there are
        more.

        With `chained`, signed blocks instead of calls. With `aor`, only calls in which it has a
        part. The events are before `until_us`.

        A call comes at its first event after `after`. Whoever makes the list sees from the bodies
        whether the call was listed before.
        """
        page: list[CallRow] = []
        seen: set[bytes] = set()
        size, more = 0, False
        with disk_errors():
            if aor:
                rows = self._connection.execute(party_index.AFTER, (aor, *after, until_us))
            else:
                rows = self._connection.execute(
                    "SELECT time_us, call_key FROM events WHERE (time_us, call_key) > (?, ?) "
                    f"AND time_us < ? AND event_id {'>=' if chained else '<'} {_CHAINED_FROM} "
                    "ORDER BY time_us, call_key",
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
                if not bodies:
                    continue
                page.append((time_us, call_key, bodies))
                size += sum(map(len, bodies))
        return tuple(page), more

    def past_calls(
        self, after: tuple[int, bytes], before_us: int, limit: int
    ) -> tuple[tuple[bytes, ...], tuple[int, bytes] | None]:
        """The calls without an event since `before_us` that no sink and no journal needs; and where
        to go on, None at the end."""
        with disk_errors():
            return removals.past_calls(self._connection, after, before_us, limit)

    def call_keys_after(self, after: bytes, limit: int) -> list[bytes]:
        """Call keys after `after`, in order."""
        with disk_errors():
            rows = self._connection.execute(
                "SELECT DISTINCT call_key FROM events WHERE call_key > ? ORDER BY call_key LIMIT ?",
                (after, limit),
            )
            return [key for (key,) in rows]

    def count_calls(self) -> int:
        """How many calls have an event here."""
        with disk_errors():
            (count,) = next(
                self._connection.execute(
                    f"SELECT count(DISTINCT call_key) FROM events WHERE event_id < {_CHAINED_FROM}"
                )
            )
            return int(count)

    def chain_head(self) -> bytes:
        """The head that this node's chain goes on from; empty at its beginning."""
        with disk_errors():
            return next(
                (body for (body,) in self._connection.execute("SELECT body FROM chain")), b""
            )

    def journal(self, limit: int) -> list[tuple[bytes, bytes]]:
        """(event id, body) of events that are not yet on W disks."""
        with disk_errors():
            rows = self._connection.execute(
                f"SELECT call_key, event_id, time_us, {BODY}, checksum "
                "FROM journal JOIN events USING (call_key, event_id) LIMIT ?",
                (limit,),
            )
            sound = []
            for call_key, event_id, time_us, body, stored in rows:
                if checksum(call_key, event_id, time_us, body) == stored:
                    sound.append((event_id, body))
                else:
                    self.damage.found("events", call_key, event_id)
            return sound

    def journal_depth(self) -> int:
        """How many events are not yet on W disks."""
        with disk_errors():
            (count,) = next(self._connection.execute("SELECT count(*) FROM journal"))
            return int(count)

    def outbox_due(
        self, sink: str, now_us: int, limit: int
    ) -> list[tuple[OutboxEntry, tuple[bytes, ...]]]:
        """The sink's entries that are due, with their calls' events."""
        with disk_errors():
            entries = self._outbox.due(sink, now_us, limit)
        return [(entry, self.events(entry.call_key)) for entry in entries]

    def outbox_backlog(self, sink: str, now_us: int) -> int:
        """How many of the sink's entries are due."""
        with disk_errors():
            return self._outbox.backlog(sink, now_us)

    def subscribers(self) -> list[tuple[bytes, str, bytes]]:
        """(key, aor, body) of all subscribers, without those that have rotted."""
        sound = []
        with disk_errors():
            for key, aor, body, stored in self._connection.execute(
                f"SELECT key, CAST(aor AS BLOB), {BODY}, checksum FROM subscribers"
            ):
                if checksum(key, aor, body) == stored:
                    sound.append((key, aor.decode(), body))
                else:
                    self.damage.found("subscribers", key)
        return sound

    def unsound_subscribers(self, keys: Iterable[bytes]) -> list[bytes]:
        """The keys among these whose rows are missing or rotten on disk."""
        sound = f"SELECT 1 FROM subscribers WHERE key = ? AND checksum IS {SUBSCRIBER_SUM}"
        with disk_errors():
            return [key for key in keys if not any(self._connection.execute(sound, (key,)))]

    def revocations(self) -> bytes:
        """The revocation list in force; empty if there is none."""
        with disk_errors():
            rows = self._connection.execute("SELECT body FROM revocations")
            return next((bytes(body) for (body,) in rows), b"")

    def settings(self) -> bytes:
        """The farm's settings in force; empty if there are none."""
        with disk_errors():
            rows = self._connection.execute("SELECT body FROM settings")
            return next((bytes(body) for (body,) in rows), b"")

    def incarnation(self) -> int:
        """The incarnation with which the last run of the node began; 0 if there was none."""
        with disk_errors():
            rows = self._connection.execute("SELECT value FROM incarnation")
            return next((int(value) for (value,) in rows), 0)

    def peers(self) -> list[NodeInfo]:
        """The peers that an earlier run remembered."""
        with disk_errors():
            rows = self._connection.execute("SELECT node_id, name, host, port FROM peers")
            return [NodeInfo(node_id=i, name=n, host=h, port=p) for i, n, h, p in rows]
