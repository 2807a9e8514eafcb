"""The number of calls that each subscriber has at a time, as far as this node knows.

In: claims of this node's proxies and of peers, what was heard of calls, and the time. Out: whether
one more call keeps to the limit, and the claims to look up. No I/O. Counterpart: `claims.py`.

A call that has ended counts until its records are looked up. So the count is never too low. A
subscriber below the limit is let pass without a look, and none is refused without one.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from overlay.base import limit_hits
from overlay.base.limits import CLAIMS_MAX, CLAIMS_PER_SUBSCRIBER_MAX
from overlay.records import claim as claims
from overlay.records.claim import CSEQS_MAX, NOTHING, SETUP_MS, Claim, Heard

LOOK_PAUSE_MS_PER_CALL: Final = 0.5
"""After a look at n calls there is no other look for n times this, as a look costs time for each
call."""


@dataclass(slots=True)
class _CountedCalls:
    """The claims of one subscriber."""

    claims: dict[bytes, Claim] = field(default_factory=dict)
    heard: dict[bytes, Heard] = field(default_factory=dict)
    weights: dict[bytes, int] = field(default_factory=dict)
    total: int = 0
    """Sum of the weights."""
    released: deque[tuple[int, bytes]] = field(default_factory=deque)
    """Claims all of whose INVITEs were refused, with the time of that, the oldest first."""
    look_after_ms: float = 0.0
    told: set[bytes] = field(default_factory=set)
    """Ids of the other nodes that have all of these claims."""

    def put(self, claim: Claim, weight: int) -> None:
        self.total += weight - self.weights.get(claim.call, 0)
        self.claims[claim.call], self.weights[claim.call] = claim, weight

    def drop(self, call: bytes) -> None:
        self.total -= self.weights.pop(call, 0)
        self.claims.pop(call, None)
        self.heard.pop(call, None)


class ClaimCounts:
    """The claims of all subscribers of whom this node keeps any, by the key of the subscriber's
    record."""

    def __init__(self) -> None:
        self._calls: OrderedDict[bytes, _CountedCalls] = OrderedDict()
        """The subscriber who called last is at the end."""
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def subscribers(self) -> list[bytes]:
        """Keys of the subscribers that have claims here."""
        return list(self._calls)

    def total(self, key: bytes) -> int:
        """The number of calls that count."""
        calls = self._calls.get(key)
        return calls.total if calls else 0

    def all(self, key: bytes) -> tuple[Claim, ...]:
        """All claims of a subscriber."""
        calls = self._calls.get(key)
        return tuple(calls.claims.values()) if calls else ()

    def told(self, key: bytes) -> set[bytes]:
        """Ids of the other nodes that have all claims of this subscriber.

        The caller changes the set when it tells a node, or hears that a node has forgotten the
        claims.
        """
        calls = self._calls.get(key)
        return calls.told if calls else set()

    def claim(self, key: bytes, new: Claim, calls_max: int, now_ms: int) -> Claim | None:
        """The claim in force, if the call keeps to the limit; None if it does not."""
        calls = self._of(key)
        before = calls.claims.get(new.call)
        if before and set(new.cseqs) <= set(before.cseqs):
            return before
        if before and len(before.cseqs) >= CSEQS_MAX:
            return None
        merged = claims.again(before, new)
        weight = claims.weight(merged, calls.heard.get(new.call, NOTHING), young=True)
        more = weight - calls.weights.get(new.call, 0)
        if more > 0 and calls.total + more > calls_max:
            self._tidy(key)
            return None
        self._put(calls, merged, weight, now_ms)
        return merged

    def release(
        self, key: bytes, call: bytes, cseq: int, changed: int, now_ms: int
    ) -> Claim | None:
        """The INVITE was refused; returns the new state of its claim, or None if that changes
        nothing."""
        before = self._calls[key].claims.get(call) if key in self._calls else None
        if before is None or cseq not in before.cseqs:
            return None
        now = claims.refused(before, cseq, changed)
        return now if self.merge(key, [now], now_ms) else None

    def merge(self, key: bytes, sent: Iterable[Claim], now_ms: int) -> bool:
        """Take in claims that another replica, or this node, granted or released; True if any was
        news."""
        news = False
        calls = self._of(key)
        for each in sent:
            before = calls.claims.get(each.call)
            merged = claims.merge(before, each) if before else each
            if merged != before:
                news = True
                heard = calls.heard.get(each.call, NOTHING)
                weight = claims.weight(merged, heard, young=True)
                self._put(calls, merged, weight, now_ms)
        self._tidy(key)
        return news

    def to_look_up(self, key: bytes, now_ms: int) -> tuple[Claim, ...]:
        """The claims whose calls may have ended; none if it is too early for another look."""
        calls = self._calls.get(key)
        if calls is None or now_ms < calls.look_after_ms:
            return ()
        return tuple(each for each in calls.claims.values() if each.cseqs)

    def looked_up(self, key: bytes, found: Mapping[bytes, Heard | None], now_ms: int) -> None:
        """Note what was heard of these calls; None: no replica answered.

        A call of which no replica answered counts while it may still ring, and not after that:
        service goes before limits.
        """
        calls = self._calls.get(key)
        if calls is None:
            return
        calls.look_after_ms = now_ms + len(found) * LOOK_PAUSE_MS_PER_CALL
        for call, heard in found.items():
            each = calls.claims.get(call)
            if each is None:
                continue
            if heard is not None:
                calls.heard[call] = heard
            young = each.young(now_ms)
            weight = claims.weight(each, heard or NOTHING, young=young)
            if weight or heard is None:
                calls.put(each, weight)
            else:
                self._drop(calls, call)
        self._tidy(key)

    # inner workings

    def _of(self, key: bytes) -> _CountedCalls:
        calls = self._calls.get(key)
        if calls is None:
            calls = self._calls[key] = _CountedCalls()
        self._calls.move_to_end(key)
        return calls

    def _put(self, calls: _CountedCalls, claim: Claim, weight: int, now_ms: int) -> None:
        while calls.released and calls.released[0][0] + SETUP_MS < now_ms:
            _, call = calls.released.popleft()
            gone = calls.claims.get(call)
            if gone is not None and not gone.cseqs:
                self._drop(calls, call)
        is_new = claim.call not in calls.claims
        if is_new and len(calls.claims) >= CLAIMS_PER_SUBSCRIBER_MAX:
            limit_hits.hit("CLAIMS_PER_SUBSCRIBER_MAX")
            self._drop(calls, next(iter(calls.claims)))
        self._size += is_new
        if not claim.cseqs:
            calls.released.append((now_ms, claim.call))
        calls.put(claim, weight)
        while self._size > CLAIMS_MAX:
            limit_hits.hit("CLAIMS_MAX")
            _, dropped = self._calls.popitem(last=False)
            self._size -= len(dropped.claims)

    def _tidy(self, key: bytes) -> None:
        if key in self._calls and not self._calls[key].claims:
            del self._calls[key]

    def _drop(self, calls: _CountedCalls, call: bytes) -> None:
        self._size -= call in calls.claims
        calls.drop(call)
