"""Locks out senders that guessed too many passwords, on all nodes.

In: failed proofs of identity, each with the address that it came from. Out: how long a user at an
address, or everybody at it, is refused without a look at the password. Counterparts: the proxies
report failures, and ask before they check (`overlay/control/proxy_service.py`); peers hear of each
lockout once.

The guesses of others do not lock out a user's own phones: a lockout concerns a user *at one
address*. The address itself is locked out only after many more failures, of any users.
"""

import math
from collections import OrderedDict
from collections.abc import Callable

from overlay.base import limit_hits
from overlay.base.limits import HEADER_CHARS_MAX, LOCKOUTS_MAX, LOGIN_FAILURES_REMEMBERED_MAX
from overlay.config.sections import ProxySection
from overlay.links.farm_messages import Lockout
from overlay.links.peer_part import Handlers, PeerPart, replies
from overlay.links.peer_protocol import Ack
from overlay.observe.figures import gauge, total

WINDOW_S = 60.0
"""Failures within this time are counted together."""

ADDRESS_CHARS_MAX = 64

Place = tuple[str, str]
"""Address-of-record, empty for all users; and address."""


class Lockouts(PeerPart):
    """The lockouts that one node knows."""

    FIGURES = (
        gauge(
            "sipfarm_lockouts",
            "Users and addresses that are locked out",
            len,
        ),
        total(
            "sipfarm_lockouts_begun_total",
            "Lockouts that this node found out",
            lambda lockouts: lockouts.begun,
        ),
        total(
            "sipfarm_login_failures_total",
            "Wrong passwords that this node's proxy told it of",
            lambda lockouts: lockouts.failures,
        ),
    )

    def __init__(self, settings: ProxySection, now_s: Callable[[], float]) -> None:
        self._settings = settings
        self._now_s = now_s
        self._failures: OrderedDict[Place, tuple[float, int]] = OrderedDict()
        """The time of the first failure, and the number of failures."""
        self._locked: OrderedDict[Place, float] = OrderedDict()
        """When the lockout ends."""
        self.failures = 0
        self.begun = 0
        """Lockouts that began at this node."""

    def __len__(self) -> int:
        now_s = self._now_s()
        return sum(until_s > now_s for until_s in self._locked.values())

    def requests(self) -> Handlers:
        return (replies(Lockout, lambda _, told: self._told(told)),)

    def failed(self, aor: str, address: str) -> Place | None:
        """Count a wrong proof; returns the lockout that follows, if one does."""
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
        """For how many more whole seconds this user at this address is refused; 0 if not."""
        if not self._locked:
            return 0
        until_s = max(self._locked.get((aor, address), 0.0), self._locked.get(("", address), 0.0))
        return max(0, math.ceil(until_s - self._now_s()))

    def learn(self, place: Place, seconds: int) -> None:
        """Note a lockout that a peer found, or with 0 the end of one, which an operator wants."""
        self._locked.pop(place, None)
        if seconds > 0 and _sane(*place):
            self._locked[place] = self._now_s() + min(seconds, self._settings.lockout_s)
            if len(self._locked) > LOCKOUTS_MAX:
                limit_hits.hit("LOCKOUTS_MAX")
                self._locked.popitem(last=False)
        else:
            self._failures.pop(place, None)

    def all(self) -> list[tuple[Place, int]]:
        """The lockouts in force, each with its remaining seconds."""
        now_s = self._now_s()
        left = ((place, int(until_s - now_s)) for place, until_s in self._locked.items())
        return [(place, left_s) for place, left_s in left if left_s > 0]

    def _told(self, told: Lockout) -> Ack:
        self.learn((told.aor, told.address), told.seconds)
        return Ack()

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
