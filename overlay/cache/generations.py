"""Tells the proxies of the node which of the entries that they remember may no longer be true.

In: keys whose entries in Redis have changed. Out: numbers in memory that the daemon and all workers
of Kamailio share, one for each of `PLACES` groups of keys, and one for all of them. Counterparts:
`projection.py` counts up once Redis shows the change; `proxy/kept_targets.py` compares, which costs
no system call, and asks Redis again when a number is another.

The memory is a file in `node.run_dir` that outlives the daemon, as workers have it open: one that
starts goes on with it. Numbers only ever grow.
"""

import logging
import mmap
import os
from pathlib import Path
from typing import Final, Self
from zlib import crc32

log = logging.getLogger(__name__)

PLACES: Final = 65_536
ALL: Final = PLACES
"""The place of the number that counts for all keys."""
FILE_BYTES: Final = 8 * (PLACES + 1)
_MODE: Final = 0o640
_LARGEST: Final = 2**64 - 1


def place_of(key: str) -> int:
    """The number of this key, which it may share with others."""
    return crc32(key.encode("utf-8", "surrogateescape")) % PLACES


class Generations:
    """The numbers, as their writer has them."""

    def __init__(self, numbers: "memoryview[int] | None" = None) -> None:
        """`numbers`: shared memory of `PLACES + 1` numbers of 64 bits; its own if there is none."""
        self.numbers = memoryview(bytearray(FILE_BYTES)).cast("Q") if numbers is None else numbers

    @classmethod
    def in_file(cls, path: Path) -> Self:
        """Numbers that the proxies see; if there can be no such file, they do without."""
        try:
            return cls(_shared(path))
        except OSError as error:
            log.warning("the proxies ask Redis for each lookup: %s: %s", path, error)
            return cls()

    def changed(self, key: str) -> None:
        """The entry under this key is, or may be, another."""
        place = place_of(key)
        self.numbers[place] = (self.numbers[place] + 1) & _LARGEST

    def all_changed(self) -> None:
        """No entry is what it was."""
        self.numbers[ALL] = (self.numbers[ALL] + 1) & _LARGEST


def numbers_in(descriptor: int, *, writable: bool) -> "memoryview[int]":
    """The numbers in an open file of `FILE_BYTES`, until the last use of the view."""
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    return memoryview(mmap.mmap(descriptor, FILE_BYTES, access=access)).cast("Q")


def _shared(path: Path) -> "memoryview[int]":
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size not in (0, FILE_BYTES):
        # Another version's. It is not cut short: who has it open would read beyond its end.
        path.unlink()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _MODE)
    try:
        # Memory that is promised and cannot be had would end the daemon when it is first used.
        os.posix_fallocate(descriptor, 0, FILE_BYTES)
        return numbers_in(descriptor, writable=True)
    finally:
        os.close(descriptor)
