"""When phones behind a NAT are pinged: each once a round, all of them evenly spread.

In: seconds that pass, the phones of a slice, who of them answered lately. Out: the slices and the
phones that are due. Counterpart: `routes/pings.py`, which keeps the phones, slice by slice, and
sends. A phone is in the same slice for as long as its address stays, so no two pings to it are
further apart than a round, and its first one comes within a round of its registration.
"""

from collections import deque
from collections.abc import Collection, Mapping
from typing import Final
from zlib import crc32

SLICES_MAX: Final = 30
PER_S_MAX: Final = 2_000
"""Pings a second that a node sends at most; with more phones a round takes longer."""
WAITING_MAX: Final = 200_000
"""Phones that are due; with more, the next ones are left out for a round."""


def slices(round_s: int) -> int:
    """How many slices the phones are in."""
    return min(round_s, SLICES_MAX)


def slice_of(address: str, round_s: int) -> int:
    """The slice of a phone."""
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
        """How many slices there are."""
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
        """The slice has these phones, their Contacts by address, of which some answered lately; how
        many have fallen silent that had answered before."""
        before = self._answering.get(number, frozenset())
        self._answering[number] = frozenset(answered)
        self.hurry(phones)
        return sum(address in phones and address not in answered for address in before)

    def hurry(self, phones: Mapping[str, str]) -> None:
        """Ping these, whatever their slice."""
        if len(self._waiting) + len(phones) <= WAITING_MAX:
            self._waiting.extend(phones.items())

    def due(self) -> list[tuple[str, str]]:
        """The phones to ping in this second."""
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), PER_S_MAX))]
