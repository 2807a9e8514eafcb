"""When phones behind a NAT are pinged: each phone once a round, evenly spread.

In: seconds that pass, the phones of a slice, and which of them answered lately. Out: the slices and
the phones that are due. Counterpart: `routes/pings.py`, which keeps the phones, slice by slice, and
sends.

A phone stays in its slice for as long as its address stays. So no two pings to it are further apart
than a round, and the first one comes within a round of its registration.
"""

from collections import deque
from collections.abc import Collection, Mapping
from typing import Final
from zlib import crc32

SLICES_MAX: Final = 30
"""Tables that the phones of a node are spread over."""
PER_S_MAX: Final = 2_000
"""Pings a second that a node sends at most; with more phones a round takes longer."""
WAITING_MAX: Final = 200_000
"""Phones that are due at most; further ones are left out for a round."""


def slices(round_s: int) -> int:
    """The number of slices in a round."""
    return min(round_s, SLICES_MAX)


def slice_of(address: str, round_s: int) -> int:
    """The slice of the phone at this address."""
    return crc32(address.encode()) % slices(round_s)


class PingRound:
    """The rounds of one node."""

    def __init__(self, round_s: int) -> None:
        self._round_s = round_s
        self._second = 0
        self._began = False
        self._waiting: deque[tuple[str, str]] = deque()
        self._answering: dict[int, frozenset[str]] = {}

    @property
    def slices(self) -> int:
        """The number of slices."""
        return slices(self._round_s)

    @property
    def is_new(self) -> bool:
        """Whether no second has passed yet."""
        return not self._began

    @property
    def round_begins(self) -> bool:
        """Whether the next second is the first of a round."""
        return self._second == 0

    def tick(self) -> range:
        """A second has passed; the slices that are due now."""
        count, now = self.slices, self._second
        self._began = True
        self._second = (now + 1) % self._round_s
        return range(now * count // self._round_s, (now + 1) * count // self._round_s)

    def add(self, number: int, phones: Mapping[str, str], answered: Collection[str]) -> int:
        """Make the phones of slice `number` due: their Contacts by address, and the addresses that
        answered lately. The result is how many phones had answered before and have now fallen
        silent."""
        before = self._answering.get(number, frozenset())
        self._answering[number] = frozenset(answered)
        self.hurry(phones)
        return sum(address in phones and address not in answered for address in before)

    def hurry(self, phones: Mapping[str, str]) -> None:
        """Make these phones due, whatever their slice."""
        if len(self._waiting) + len(phones) <= WAITING_MAX:
            self._waiting.extend(phones.items())

    def due(self) -> list[tuple[str, str]]:
        """The phones to ping in this second, with their Contacts."""
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), PER_S_MAX))]
