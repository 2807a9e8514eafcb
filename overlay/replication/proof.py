"""What is proven of the records that a node holds, and what is missing where.

In: each record, with the nodes that hold it and those that should and do not. Out: figures, and a
few of the records and nodes by name. Counterparts: `repair.py` asks the nodes; `drain.py` waits
until nothing is missing.
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
    """One record, offered to all other nodes that should hold it."""

    kind: RecordKind
    key: bytes
    there: int
    """On how many of them it is."""
    without: tuple[Absence, ...]
    """The others."""


class Lacking(msgspec.Struct, frozen=True, kw_only=True):
    """A node that has not confirmed records."""

    name: str
    records: int
    why: str
    """Of the last one."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What the other nodes said of the records that this one holds."""

    records: int = 0
    unproven: int = 0
    """Those that a node which should hold them has not confirmed, byte for byte."""
    copies: int = 0
    """The fewest confirmed copies elsewhere that a record has; 0 without records."""
    problem: str = ""
    missing: tuple[Looked, ...] = ()
    """Some of the unproven ones."""
    lacking: tuple[Lacking, ...] = ()
    """Those that lack most."""


class Findings:
    """Puts a proof together."""

    def __init__(self) -> None:
        self._records = self._unproven = 0
        self._copies: int | None = None
        self._missing: list[Looked] = []
        self._lacking: Counter[str] = Counter()
        self._why: dict[str, str] = {}

    def add(self, looked: Looked) -> None:
        """One more record."""
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
        """All that was found."""
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
