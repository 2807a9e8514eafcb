"""Keeps the subscriber records of which this node is a replica: in memory, and durable in
`records.db`.

In: records by key. Out: the same, merged. Counterpart: `committer.py`. The code that changes a
record here also commits it there.
"""

from bisect import bisect_right

from overlay.records import subscriber
from overlay.records.subscriber import Subscriber


class StoredSubscribers:
    """All subscriber records of this node."""

    def __init__(self, rows: list[tuple[bytes, str, bytes]]) -> None:
        self._records = {key: body for key, _, body in rows}
        self._names: list[str] | None = None

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: bytes) -> bytes | None:
        """The encoded record; None if it is not here."""
        return self._records.get(key)

    def keys(self) -> list[bytes]:
        """The keys of all records."""
        return list(self._records)

    def merge(self, key: bytes, record: Subscriber) -> Subscriber:
        """Merge a record into the local copy. The record that is in force then."""
        mine = self._records.get(key)
        merged = subscriber.merge(subscriber.decode(mine), record) if mine else record
        self._records[key] = subscriber.encode(merged)
        self._names = None
        return merged

    def page(self, after: str, limit: int) -> tuple[tuple[bytes, ...], bool]:
        """The encoded records after the name `after`, in order of their names, and whether there
        are more."""
        if self._names is None:
            self._by_name = {subscriber.decode(b).aor: b for b in self._records.values()}
            self._names = sorted(self._by_name)
        start = bisect_right(self._names, after)
        names = self._names[start : start + limit]
        return tuple(self._by_name[name] for name in names), start + limit < len(self._names)
