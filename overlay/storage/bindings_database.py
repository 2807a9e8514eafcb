"""`bindings.db`, as plain blocking code that runs in a storage thread.

In: registration records to keep. Out: all of them, at the start. Counterpart: `bindings.py`. The
file is written behind: registrations are safe because several nodes have them, and the file only
lets them survive a restart of all nodes.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from overlay.base.errors import CorruptError, DeviceError, StorageError
from overlay.storage import salvage
from overlay.storage.damage import Damage
from overlay.storage.schema import BINDINGS, checksum, connect, disk_errors, transaction

_ALL = "SELECT key, CAST(body AS BLOB), checksum FROM bindings"


class BindingsDatabase:
    """The database. One instance belongs to one thread at a time."""

    def __init__(self, directory: Path | None, damage: Damage | None = None) -> None:
        """Open the file. Without a directory the database is in memory, and ends with this
        object."""
        self.damage = damage or Damage()
        self._path = directory / "bindings.db" if directory else None
        if self._path is not None:
            salvage.finish(self._path)
        try:
            self._connection = connect(self._path, BINDINGS)
        except CorruptError:
            self._rebuild()

    def close(self) -> None:
        """Checkpoint and close. Raises `StorageError`, and is closed even then."""
        with disk_errors():
            self._connection.close()

    def mend(self, error: StorageError) -> bool:
        """After an error, put a sound file in place. Whether all records have to be written
        again."""
        if self._path is None or not isinstance(error, CorruptError | DeviceError):
            return False
        with suppress(StorageError):
            self.close()
        if isinstance(error, CorruptError):
            self._rebuild()
        else:
            self._connection = connect(self._path, BINDINGS)
        return True

    def load(self) -> dict[bytes, bytes]:
        """Every record, by key. Rows that have rotted are set aside."""
        try:
            return self._load()
        except CorruptError as error:
            self.mend(error)
            return self._load()

    def _load(self) -> dict[bytes, bytes]:
        rotten: list[tuple[bytes]] = []
        records: dict[bytes, bytes] = {}
        with disk_errors():
            for key, body, stored in self._connection.execute(_ALL):
                if checksum(key, body) == stored:
                    records[key] = body
                else:
                    self.damage.found("bindings", key)
                    rotten.append((key,))
        if rotten:
            self._set_aside(rotten)
        return records

    def write(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Replace records. None deletes a record."""
        kept, deleted = [], []
        for key, body in records:
            if body is None:
                deleted.append((key,))
            else:
                kept.append((key, body, checksum(key, body)))
        connection = self._connection
        with transaction(connection):
            connection.executemany("INSERT OR REPLACE INTO bindings VALUES (?, ?, ?)", kept)
            connection.executemany("DELETE FROM bindings WHERE key = ?", deleted)

    def rotten_after(self, after: bytes, limit: int) -> tuple[list[bytes], bytes]:
        """The keys of the rows that have rotted among the next `limit` rows after `after`; and the
        last key that was read, empty at the end."""
        rotten, last, count = [], b"", 0
        with disk_errors():
            for key, body, stored in self._connection.execute(
                f"{_ALL} WHERE key > ? ORDER BY key LIMIT ?", (after, limit)
            ):
                last, count = key, count + 1
                if checksum(key, body) != stored:
                    self.damage.found("bindings", key)
                    rotten.append(key)
        return rotten, last if count == limit else b""

    def _rebuild(self) -> None:
        assert self._path is not None
        salvage.rebuild(self._path, BINDINGS, self.damage)
        self._connection = connect(self._path, BINDINGS)

    def _set_aside(self, keys: list[tuple[bytes]]) -> None:
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT INTO rotten (origin, key, body) "
                "SELECT 'bindings', key, body FROM bindings WHERE key = ?",
                keys,
            )
            self._connection.executemany("DELETE FROM bindings WHERE key = ?", keys)
