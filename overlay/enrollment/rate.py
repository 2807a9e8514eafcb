"""Limits how often an address may fail: each address has a bucket of tries, which fills again with
time.

In: addresses, failures, time. Out: whether to listen to an address. Counterpart: `service.py`.
"""

import ipaddress
from collections import OrderedDict

from overlay.base.limits import ENROLLMENT_ADDRESSES_MAX, ENROLLMENT_FAILURES_PER_MINUTE_MAX


class RateLimit:
    """The tries that each address has left."""

    def __init__(
        self,
        per_minute: int = ENROLLMENT_FAILURES_PER_MINUTE_MAX,
        addresses_max: int = ENROLLMENT_ADDRESSES_MAX,
    ) -> None:
        self._per_minute = per_minute
        self._addresses_max = addresses_max
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """The tries left, and the time, in s, at which they were counted."""

    def allows(self, address: str, now_s: float) -> bool:
        """Whether this address has a try left."""
        return self._left(_neighbourhood(address), now_s) >= 1

    def failed(self, address: str, now_s: float) -> None:
        """Note that a try of this address has failed."""
        where = _neighbourhood(address)
        self._buckets[where] = (max(0.0, self._left(where, now_s) - 1), now_s)
        self._buckets.move_to_end(where)
        if len(self._buckets) > self._addresses_max:
            self._buckets.popitem(last=False)

    def _left(self, where: str, now_s: float) -> float:
        left, since_s = self._buckets.get(where, (float(self._per_minute), now_s))
        return min(float(self._per_minute), left + (now_s - since_s) * self._per_minute / 60)


def _neighbourhood(address: str) -> str:
    """The address itself; of an IPv6 address its /64, because one host can have a whole /64."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    return str(ipaddress.ip_network((ip, 64), strict=False))
