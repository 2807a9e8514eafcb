"""Which nodes have to be told when a record changes.

In: reads with a lease. Out: the holders of leases on a key. Counterpart: `overlay.cache.hot` on the
holder, which serves what it read for no longer than the lease.

The number of leases is bounded. If there is no room, the read gets a lease of zero length, so its
reader knows that it will hear of no change.
"""

from overlay.base import limit_hits
from overlay.base.limits import LEASE_HOLDERS_PER_KEY_MAX, LEASED_KEYS_MAX


class Leases:
    """The holders of leases by key, each with its end on the loop's clock."""

    def __init__(self) -> None:
        self._holders: dict[bytes, dict[bytes, float]] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def grant(self, key: bytes, holder: bytes, now_s: float, until_s: float) -> bool:
        """Note a holder; False if there is no room."""
        holders = self._holders.get(key)
        if holders is None:
            if len(self._holders) >= LEASED_KEYS_MAX:
                self.expire(now_s)
                if len(self._holders) >= LEASED_KEYS_MAX:
                    limit_hits.hit("LEASED_KEYS_MAX")
                    return False
            holders = self._holders[key] = {}
        if len(holders) >= LEASE_HOLDERS_PER_KEY_MAX and holder not in holders:
            limit_hits.hit("LEASE_HOLDERS_PER_KEY_MAX")
            return False
        holders[holder] = until_s
        return True

    def holders(self, key: bytes, now_s: float) -> list[bytes]:
        """The nodes that hold a lease on `key` now."""
        holders = self._holders.get(key)
        if holders is None:
            return []
        live = [holder for holder, until_s in holders.items() if until_s > now_s]
        if not live:
            del self._holders[key]
        return live

    def expire(self, now_s: float) -> None:
        """Drop the leases that have ended."""
        for key in list(self._holders):
            self.holders(key, now_s)
