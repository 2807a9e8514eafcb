"""Decides whether the disk has room for new records.

In: how much is free. Out: why there is no room, for whoever is refused and for the operator.
Counterparts: `committer.py` refuses rows that begin a record, `bindings.py` stops writing its file.

A disk that is filled to the last byte takes no BYE any more. Below the floor, new records are
refused. What calls under way have yet to write is still written, and whatever frees space still
happens.
"""

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

MIB = 1 << 20
LOOK_EVERY_S: Final = 0.05
"""How old, in s, a figure may be. A disk that takes 1 GB/s is 50 MB fuller by then, which is less
than the least that `storage.free_bytes_min` should be; and a look at every new call would cost more
than its entry."""


class Space:
    """The space on the disk that holds the data directory."""

    def __init__(self, free_bytes: Callable[[], int], free_bytes_min: int) -> None:
        self.free_bytes = free_bytes
        """How many bytes are free right now."""
        self._min = free_bytes_min
        self._was_short = False

    def short(self) -> str:
        """Why new records are refused; empty when there is room. Changes are logged."""
        free = self.free_bytes() if self._min else 0
        is_short = free < self._min
        text = ""
        if is_short:
            text = f"{free // MIB} MiB are free, storage.free_bytes_min is {self._min // MIB} MiB"
        if is_short != self._was_short:
            self._was_short = is_short
            if is_short:
                log.error("the disk is short of space, no new records are taken: %s", text)
            else:
                log.info("the disk has room again: %d MiB", free // MIB)
        return text


def free_bytes_of(
    directory: Path, clock: Callable[[], float] = time.monotonic
) -> Callable[[], int]:
    """A function that says how many bytes were free on the directory's disk, at most `LOOK_EVERY_S`
    ago."""
    free, look_at_s = 0, 0.0

    def looked() -> int:
        nonlocal free, look_at_s
        now_s = clock()
        if now_s >= look_at_s:
            free, look_at_s = shutil.disk_usage(directory).free, now_s + LOOK_EVERY_S
        return free

    return looked


def unlimited() -> Space:
    """The space of a disk that nobody watches: there is always room."""
    return Space(lambda: 0, 0)
