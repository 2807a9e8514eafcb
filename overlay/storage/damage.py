"""What is found broken on this node's disk, by whichever thread reads it.

In: rows whose checksum fails, files that SQLite cannot read. Out: what is to be set aside, and
figures for the operator. Counterparts: `database.py` finds it, `committer.py` sets it aside, repair
fetches it again from the other replicas.
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
"""In the name of a broken file, before the time."""


def aside_of(path: Path) -> Path:
    """The name under which a broken file is set aside now."""
    return path.with_name(f"{path.stem}{SET_ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z")


class Damage:
    """Of all files of one node."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[RottenRow] = set()
        self._waiting: dict[RottenRow, None] = {}
        self.rotten_rows = 0
        """Rows that were found rotten, since the start."""
        self.rebuilt = 0
        """Files that were put in the place of broken ones, since the start."""
        self.files: tuple[str, ...] = ()
        """Broken files that were set aside and are still there."""

    def found(self, table: str, *key: bytes) -> None:
        """A row's checksum fails; the first time, this is logged and counted."""
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
        """See which files are aside; whoever has seen to them removes them."""
        found = (path.name for path in directory.glob(f"*{SET_ASIDE}*"))
        self.files = tuple(sorted(name for name in found if not name.endswith(("-wal", "-shm"))))

    def describe(self) -> str:
        """For the operator; empty when all is well."""
        texts = [f"{self.rotten_rows} rotten rows"] if self.rotten_rows else []
        texts += [f"{name} is set aside" for name in self.files]
        return ", ".join(texts)

    def take(self) -> list[RottenRow]:
        """What is to be set aside; it is told once, and again when it is found again."""
        if not self._waiting:
            return []
        with self._lock:
            rows, self._waiting = list(self._waiting), {}
        return rows
