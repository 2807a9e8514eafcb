"""Targets that this worker has read from Redis, for as long as Redis would say the same.

In: an entry of Redis, with the end of its lease. Out: the same targets again, without asking Redis.
Counterpart: `overlay/cache/generations.py`. The daemon keeps a generation number for each entry in
memory that it shares with the workers, and counts it up before it tells anybody that a binding has
changed.

A worker notes the number before it asks Redis. The entry that Redis then returns is as new as that
number or newer, never older, so a worker never takes an old entry for a new one.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from overlay.cache import generations
from overlay.cache.generations import ALL
from overlay.records.targets import CachedTargets, Target

LOOK_EVERY_S: Final = 1.0
"""How soon a worker notices that the daemon has made a new file of numbers."""
KEPT_MAX: Final = 4_096
"""Entries a worker keeps, of about 1 KiB each."""

Mark = tuple[int, int, int]
"""Place of a key among the numbers, its number there, and the number that stands for all keys."""


class KeptTargets:
    """The targets of addresses-of-record that this worker looked up lately."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """`clock` tells CLOCK_MONOTONIC in seconds, the clock in which the ends of leases are
        given."""
        self._path = path
        self._clock = clock
        self._look_at_s = 0.0
        self._seen: tuple[int, int] | None = None
        self._numbers: Sequence[int] | None = None
        self._kept: dict[str, tuple[Mark, float, tuple[Target, ...]]] = {}

    def get(self, key: str) -> tuple[Target, ...]:
        """The targets under a key of Redis; empty if Redis has to be asked."""
        now_s = self._clock()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            self._look()
        kept, numbers = self._kept.get(key), self._numbers
        if kept is None or numbers is None:
            return ()
        (place, generation, of_all), until_s, targets = kept
        if now_s < until_s and numbers[place] == generation and numbers[ALL] == of_all:
            return targets
        del self._kept[key]
        return ()

    def mark(self, key: str) -> Mark | None:
        """The mark to take before asking Redis, for `keep`; None if the daemon has made no file."""
        numbers = self._numbers
        if numbers is None:
            return None
        place = generations.place_of(key)
        return place, numbers[place], numbers[ALL]

    def keep(self, key: str, mark: Mark | None, found: CachedTargets) -> tuple[Target, ...]:
        """Remember an entry that Redis returned after `mark` was taken, and return its targets.
        They are empty if the lease is over: Redis counts the time from when it was told."""
        if found.until_ms <= self._clock() * 1000:
            return ()
        if mark is None or not found.targets:
            return found.targets
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (mark, found.until_ms / 1000, found.targets)
        return found.targets

    def _look(self) -> None:
        try:
            found = os.stat(self._path)
            seen = (found.st_ino, found.st_size)
            if seen == self._seen:
                return
            self._forget()
            if found.st_size == generations.FILE_BYTES:
                descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    self._numbers = generations.numbers_in(descriptor, writable=False)
                finally:
                    os.close(descriptor)
                self._seen = seen
        except (OSError, ValueError):
            self._forget()

    def _forget(self) -> None:
        self._seen, self._numbers = None, None
        self._kept.clear()
