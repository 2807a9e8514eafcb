"""The farm's settings, and the nodes that are gone, in one Kamailio worker.

In: the file that the node's daemon writes. Out: a `TrunkTable` and names of nodes, at most
`LOOK_EVERY_S` old. Counterpart: `overlay.cache.shown_settings`.

If the file is gone or cannot be read, what was read last stays in force: calls go on without the
daemon.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from overlay.base.limits import SETTINGS_BYTES_MAX
from overlay.records import settings
from proxy.trunk_choice import NO_TRUNKS, TrunkTable

LOOK_EVERY_S: Final = 1.0
_BYTES_MAX: Final = 2 * SETTINGS_BYTES_MAX


class ShownSettings:
    """Reads the file again when it has changed."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._look_at_s = 0.0
        self._seen: tuple[int, int] | None = None
        self._table = NO_TRUNKS
        self._gone: frozenset[str] = frozenset()

    def table(self) -> TrunkTable:
        """The settings in force."""
        if self._clock() >= self._look_at_s:
            self._look()
        return self._table

    def gone(self) -> frozenset[str]:
        """Names of the nodes that are dead or have left."""
        if self._clock() >= self._look_at_s:
            self._look()
        return self._gone

    def _look(self) -> None:
        self._look_at_s = self._clock() + LOOK_EVERY_S
        try:
            found = os.stat(self._path)
            seen = (found.st_mtime_ns, found.st_ino)
            if seen == self._seen:
                return
            with self._path.open("rb") as file:
                shown = settings.decode_shown(file.read(_BYTES_MAX))
        except (OSError, msgspec.MsgspecError):
            return
        self._seen = seen
        self._table = TrunkTable.of(shown.settings, shown.down)
        self._gone = frozenset(shown.gone)
