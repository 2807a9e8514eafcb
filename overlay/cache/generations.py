"""Tells the node's proxies which of the entries that they remember may be out of date.

In: keys whose entries in Redis have changed. Out: numbers in memory that the daemon shares with all
workers of Kamailio: one number for each of `PLACES` groups of keys, and one for all keys.
Counterparts: `projection.py` increments a number once Redis shows the change;
`proxy/kept_targets.py` compares the numbers, which needs no system call, and asks Redis again when
a number has changed.

The memory is a file in `node.run_dir`. The file outlives the daemon, as the workers have it open,
so a daemon that starts goes on with the numbers in it. Numbers only ever grow.
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
"""The index of the number that counts for all keys."""
FILE_BYTES: Final = 8 * (PLACES + 1)
_MODE: Final = 0o640
_LARGEST: Final = 2**64 - 1


def place_of(key: str) -> int:
    """The index of this key's number, which other keys may share."""
    return crc32(key.encode("utf-8", "surrogateescape")) % PLACES


class Generations:
    """The numbers, for the daemon, which alone writes them."""

    def __init__(self, numbers: "memoryview[int] | None" = None) -> None:
        """`numbers`: shared memory of `PLACES + 1` numbers of 64 bits. Without it, the numbers are
        in this process alone."""
        self.numbers = memoryview(bytearray(FILE_BYTES)).cast("Q") if numbers is None else numbers

    @classmethod
    def in_file(cls, path: Path) -> Self:
        """Numbers in a file that the proxies read. If there can be no such file, the proxies do
        without."""
        try:
            return cls(_shared(path))
        except OSError as error:
            log.warning("the proxies ask Redis for each lookup: %s: %s", path, error)
            return cls()

    def changed(self, key: str) -> None:
        """Note that the entry under this key may have changed."""
        place = place_of(key)
        self.numbers[place] = (self.numbers[place] + 1) & _LARGEST

    def all_changed(self) -> None:
        """Note that all entries may have changed."""
        self.numbers[ALL] = (self.numbers[ALL] + 1) & _LARGEST


def numbers_in(descriptor: int, *, writable: bool) -> "memoryview[int]":
    """The numbers in an open file of `FILE_BYTES`. The memory stays mapped while the view is in
    use."""
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    return memoryview(mmap.mmap(descriptor, FILE_BYTES, access=access)).cast("Q")


def _shared(path: Path) -> "memoryview[int]":
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size not in (0, FILE_BYTES):
        # Another version wrote this file. It is not truncated, as a process that has it open would
        # then read beyond its end.
        path.unlink()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _MODE)
    try:
        # Allocate now: memory that was promised and is not there would end the daemon at its first
        # use.
        os.posix_fallocate(descriptor, 0, FILE_BYTES)
        return numbers_in(descriptor, writable=True)
    finally:
        os.close(descriptor)
