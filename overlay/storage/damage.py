"""Collects what any thread finds broken on this node's disk.

In: rows whose checksum is wrong, files that SQLite cannot read. Out: the rows that are to be set
aside, and figures for the operator. Counterparts: `database.py` finds such rows, `committer.py`
sets them aside, repair fetches them again from other replicas.
"""

import logging
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from overlay.base.limits import ROTTEN_ROWS_TOLD_MAX
from overlay.storage.rows import RottenRow

log = logging.getLogger(__name__)

SET_ASIDE: Final = ".db.corrupt-"
"""The part of a broken file's name that stands before the time."""


def aside_of(path: Path) -> Path:
    """The name under which a broken file is set aside now."""
    return path.with_name(f"{path.stem}{SET_ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z")


class Damage:
    """The damage in all files of one node."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[RottenRow] = set()
        self._waiting: dict[RottenRow, None] = {}
        self.rotten_rows = 0
        """Rows that were found rotten since the start."""
        self.rebuilt = 0
        """Files that were replaced because they were broken, since the start."""
        self.files: tuple[str, ...] = ()
        """Broken files that were set aside and are still there."""

    def found(self, table: str, *key: bytes) -> None:
        """The checksum of a row is wrong. This is logged and counted the first time."""
        row = RottenRow(table=table, key=key)
        with self._lock:
            self._waiting[row] = None
            known = row in self._told
            if not known:
                self.rotten_rows += 1
                if len(self._told) < ROTTEN_ROWS_TOLD_MAX:
                    self._told.add(row)
        if not known:
            text = " ".join(part.hex() for part in key)
            log.error("a row of %s has rotted and is set aside: %s", table, text)

    def look_for_files(self, directory: Path) -> None:
        """See which files are set aside. Whoever has looked into such a file removes it."""
        found = (path.name for path in directory.glob(f"*{SET_ASIDE}*"))
        self.files = tuple(sorted(name for name in found if not name.endswith(("-wal", "-shm"))))

    def describe(self) -> str:
        """The damage in words for the operator; empty when all is well."""
        texts = [f"{self.rotten_rows} rotten rows"] if self.rotten_rows else []
        texts += [f"{name} is set aside" for name in self.files]
        return ", ".join(texts)

    def take(self) -> list[RottenRow]:
        """The rows that are to be set aside. Each is returned once, and again if it is found
        again."""
        if not self._waiting:
            return []
        with self._lock:
            rows, self._waiting = list(self._waiting), {}
        return rows
