"""Who guessed too many passwords is not let guess on, at any node.

In: failed proofs of identity, with the address that they came from. Out: for how long a user from
an address, or anybody from it, is refused without a look at his answer. Counterparts: the proxies
report failures and ask before they check (`overlay/control/proxy_service.py`); peers are told of
each lockout, once.

A user's own phones are not locked out by somebody else's guesses: what is locked is a user *from an
address*, and only after many more failures, whoever they were about, the address itself.
"""

import math
from collections import OrderedDict
from collections.abc import Callable

from overlay.base import limit_hits
from overlay.base.limits import HEADER_CHARS_MAX, LOCKOUTS_MAX, LOGIN_FAILURES_REMEMBERED_MAX
from overlay.config.sections import ProxySection

WINDOW_S = 60.0
"""Failures within this are counted together."""

ADDRESS_CHARS_MAX = 64

Place = tuple[str, str]
"""Address-of-record, or nothing for all of them; address."""


class Lockouts:
    """What one node knows of them."""

    def __init__(self, settings: ProxySection, now_s: Callable[[], float]) -> None:
        self._settings = settings
        self._now_s = now_s
        self._failures: OrderedDict[Place, tuple[float, int]] = OrderedDict()
        """Since when, and how many."""
        self._locked: OrderedDict[Place, float] = OrderedDict()
        """Until when."""
        self.failures = 0
        self.begun = 0
        """Lockouts that this node found out."""

    def __len__(self) -> int:
        now_s = self._now_s()
        return sum(until_s > now_s for until_s in self._locked.values())

    def failed(self, aor: str, address: str) -> Place | None:
        """A proof was wrong; the lockout that follows, if one does."""
        self.failures += 1
        if not _sane(aor, address):
            return None
        user, everybody = (aor, address), ("", address)
        if self._count(everybody) >= self._settings.login_failures_address_max:
            return self._begin(everybody)
        if self._count(user) >= self._settings.login_failures_max:
            return self._begin(user)
        return None

    def left_s(self, aor: str, address: str) -> int:
        """For how many whole seconds more this user is refused from there; 0: he is not."""
        if not self._locked:
            return 0
        until_s = max(self._locked.get((aor, address), 0.0), self._locked.get(("", address), 0.0))
        return max(0, math.ceil(until_s - self._now_s()))

    def learn(self, place: Place, seconds: int) -> None:
        """A peer found it out, or an operator ended it (0)."""
        self._locked.pop(place, None)
        if seconds > 0 and _sane(*place):
            self._locked[place] = self._now_s() + min(seconds, self._settings.lockout_s)
            if len(self._locked) > LOCKOUTS_MAX:
                limit_hits.hit("LOCKOUTS_MAX")
                self._locked.popitem(last=False)
        else:
            self._failures.pop(place, None)

    def all(self) -> list[tuple[Place, int]]:
        """Those in force, and for how many seconds more."""
        now_s = self._now_s()
        left = ((place, int(until_s - now_s)) for place, until_s in self._locked.items())
        return [(place, left_s) for place, left_s in left if left_s > 0]

    def _count(self, place: Place) -> int:
        since_s, count = self._failures.pop(place, (self._now_s(), 0))
        if self._now_s() - since_s > WINDOW_S:
            since_s, count = self._now_s(), 0
        self._failures[place] = (since_s, count + 1)
        if len(self._failures) > LOGIN_FAILURES_REMEMBERED_MAX:
            limit_hits.hit("LOGIN_FAILURES_REMEMBERED_MAX")
            self._failures.popitem(last=False)
        return count + 1

    def _begin(self, place: Place) -> Place:
        self.begun += 1
        self._failures.pop(place, None)
        self.learn(place, self._settings.lockout_s)
        return place


def _sane(aor: str, address: str) -> bool:
    return len(aor) <= HEADER_CHARS_MAX and 0 < len(address) <= ADDRESS_CHARS_MAX
