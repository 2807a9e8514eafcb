"""Counts which records of a node are proven to have all their copies, and names the missing copies.

In: each record, with the nodes that confirmed a copy and the nodes that should hold one and did not
confirm it. Out: figures, and some of the records and nodes by name. Counterparts: `repair.py` asks
the nodes; `drain.py` waits until nothing is missing.
"""

from collections import Counter

import msgspec

from overlay.base.limits import UNPROVEN_NAMED_MAX
from overlay.records.names import RecordKind


class Absence(msgspec.Struct, frozen=True, kw_only=True):
    """A node that should hold a record and has not confirmed that it does."""

    node: str
    why: str


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """One record that was offered to all other nodes that should hold it."""

    kind: RecordKind
    key: bytes
    there: int
    """The number of those nodes that confirmed the record."""
    without: tuple[Absence, ...]
    """The nodes that did not."""


class Lacking(msgspec.Struct, frozen=True, kw_only=True):
    """A node that has not confirmed some records."""

    name: str
    records: int
    why: str
    """The reason that it gave, or that was found, for the last of these records."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What the other nodes confirmed of the records that this node holds."""

    records: int = 0
    unproven: int = 0
    """Records that at least one node that should hold them has not confirmed, byte for byte."""
    copies: int = 0
    """The number of confirmed copies on other nodes, of the record that has the fewest; 0 if there
    are no records."""
    problem: str = ""
    missing: tuple[Looked, ...] = ()
    """Some of the unproven records."""
    lacking: tuple[Lacking, ...] = ()
    """The nodes that lack the most records."""


class Findings:
    """Adds up a proof, record by record."""

    def __init__(self) -> None:
        self._records = self._unproven = 0
        self._copies: int | None = None
        self._missing: list[Looked] = []
        self._lacking: Counter[str] = Counter()
        self._why: dict[str, str] = {}

    def add(self, looked: Looked) -> None:
        """Count one more record."""
        self._records += 1
        self._copies = looked.there if self._copies is None else min(self._copies, looked.there)
        if looked.there and not looked.without:
            return
        self._unproven += 1
        if len(self._missing) < UNPROVEN_NAMED_MAX:
            self._missing.append(looked)
        for each in looked.without:
            self._lacking[each.node] += 1
            self._why[each.node] = each.why

    def proof(self) -> Proof:
        """The proof of all records that were added."""
        return Proof(
            records=self._records,
            unproven=self._unproven,
            copies=self._copies or 0,
            missing=tuple(self._missing),
            lacking=tuple(
                Lacking(name=name, records=count, why=self._why[name])
                for name, count in self._lacking.most_common(UNPROVEN_NAMED_MAX)
            ),
        )
