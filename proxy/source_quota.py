"""How much of a node's memory the requests of one address may take.

In: the address of each request that the node would have to remember, and its size. Out: whether
there is room for it. Counterpart: `routes/room.py`.

Each worker counts for itself, in its own memory, so that counting costs no call into Kamailio. What
was counted is forgotten at the end of a period; so at most twice the quota is remembered at a time,
if entries live as long as a period.
"""

from collections.abc import Callable
from typing import Final

PERIOD_S: Final = 200.0
"""How long an INVITE is remembered; kamailio.cfg has the same value."""
BYTES_FOR_A_REQUEST: Final = 16 << 10
"""Bytes in a period for each request that an address may send in a second. With the default of
500, that is 8 MiB: 40 INVITEs of a KiB in each second, for each worker."""
FLOWS_FOR_A_REQUEST: Final = 20
"""Flows behind one address that a worker remembers, for each request that the address may send in a
second."""
ADDRESSES_MAX: Final = 20_000
"""Addresses that are counted apart in a period; all further ones share one quota."""
_OTHERS: Final = "others"


class SourceQuota:
    """What the requests of each address have taken in this period."""

    def __init__(self, most: int, period_s: float, clock: Callable[[], float]) -> None:
        """`most` is an address's share in a period; 0 for no limit."""
        self._most = most
        self._period_s = period_s
        self._clock = clock
        self._ends_s = 0.0
        self._taken: dict[str, int] = {}

    def take(self, address: str, size: int) -> bool:
        """Whether the address has so much of its share left; if so, it is taken."""
        if not self._most:
            return True
        now_s = self._clock()
        if now_s >= self._ends_s:
            self._taken.clear()
            self._ends_s = now_s + self._period_s
        taken = self._taken.get(address)
        if taken is None:
            if len(self._taken) >= ADDRESSES_MAX:
                address = _OTHERS
            taken = self._taken.get(address, 0)
        if taken + size > self._most:
            return False
        self._taken[address] = taken + size
        return True
