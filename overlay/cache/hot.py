"""Records that this node read lately, and that it may serve without asking while their leases run.

In: records, from reads and from pushes. Out: targets for the proxies, in Redis and on the control
socket. Counterparts: `overlay.replication.leases` on the replicas, which push every change before
they acknowledge it; `projection.py`.

A push may overtake the answer of the read that it belongs to. So pushes during a read are kept and
merged into its result.

Only a replica that has a link and remembers the lease can push. So the leases from a replica end
when a link with it comes or goes, as it may have died and forgotten its holders, or pushed in vain.
All leases end when a member comes, dies or changes. A member that becomes a replica of a record has
never heard of the holders of leases on it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from overlay.base import limit_hits
from overlay.base.limits import HOT_RECORDS_MAX
from overlay.cache.projection import Projection
from overlay.observe.figures import gauge
from overlay.observe.part import Part
from overlay.records import registration, subscriber
from overlay.records.registration import Registration
from overlay.records.routing import targets_of
from overlay.records.subscriber import Subscriber
from overlay.records.targets import CachedTargets, Target, encode_cached, redis_key

Granters = tuple[bytes, ...]
"""Ids of the replicas that granted a lease."""


class HotRecord(msgspec.Struct, kw_only=True):
    """A registration under a lease."""

    aor: str
    record: Registration
    until_s: float
    """End of the lease, on the loop's clock."""
    granters: Granters
    """The replicas that would push a change."""


class HotSubscriber(msgspec.Struct, kw_only=True):
    """A subscriber under a lease; None: there is none of this name."""

    record: Subscriber | None
    until_s: float
    granters: Granters


class HotRecords(Part):
    """The registrations and subscribers that this node holds under a lease."""

    FIGURES = (
        gauge(
            "sipfarm_hot_records",
            "Registrations of other nodes that this node may answer from its cache",
            len,
        ),
    )

    def __init__(
        self,
        projection: Projection,
        now_ms: Callable[[], int],
        lost: Callable[[], frozenset[str]],
    ) -> None:
        """`lost` returns the names of nodes that are dead or have left. Flows to these nodes are no
        targets."""
        self._now_ms = now_ms
        self.lost = lost
        self._projection = projection
        self._loop = asyncio.get_running_loop()
        self._hot: OrderedDict[bytes, HotRecord] = OrderedDict()
        self._subscribers: OrderedDict[bytes, HotSubscriber] = OrderedDict()
        self._reading: dict[bytes, Registration] = {}
        self._reads: dict[bytes, int] = {}
        self.turn = 0
        """Grows when leases end. A read that began in an earlier turn brings no lease."""

    def __len__(self) -> int:
        return len(self._hot)

    def end_leases_of(self, replica: bytes) -> None:
        """End the leases from this replica, as a link with it came or went, and a push may be
        lost."""
        self.turn += 1
        for key in [key for key, hot in self._subscribers.items() if replica in hot.granters]:
            del self._subscribers[key]
        for key in [key for key, hot in self._hot.items() if replica in hot.granters]:
            self._projection.delete(redis_key(self._hot.pop(key).aor))

    def end_leases(self) -> None:
        """End all leases, as the farm changed."""
        self.turn += 1
        self._subscribers.clear()
        if self._hot:
            self._hot.clear()
            self._projection.clear()

    def targets(self, key: bytes) -> tuple[Target, ...] | None:
        """The targets, which are then shown in Redis again; None if there is no lease."""
        hot = self._hot.get(key)
        if hot is None:
            return None
        if hot.until_s <= self._loop.time():
            del self._hot[key]
            return None
        targets, _ = self._show(hot)
        return targets

    def read_begins(self, key: bytes) -> None:
        """Keep pushes from now on, as a read with a lease is under way."""
        self._reads[key] = self._reads.get(key, 0) + 1
        self._reading.setdefault(key, ())

    def read_ends(
        self,
        key: bytes,
        aor: str,
        record: Registration | None,
        until_s: float,
        granters: Granters = (),
    ) -> tuple[Target, ...]:
        """Take a read's result, which is None if it failed; the targets, with the pushes during the
        read."""
        pushed = self._reading.get(key, ())
        self._reads[key] -= 1
        if not self._reads[key]:
            del self._reads[key], self._reading[key]
        if record is None:
            return ()
        before = self._hot.get(key)
        if before is not None:
            record = registration.merge(
                record, registration.standing(before.record, self._now_ms())
            )
        record = registration.merge(record, pushed)
        if until_s <= self._loop.time():
            # There is no lease. An entry under an earlier lease stays, and still gets every change.
            return targets_of(record, self._now_ms(), self.lost())
        hot = HotRecord(aor=aor, record=record, until_s=until_s, granters=granters)
        self._hot.pop(key, None)
        targets, _ = self._show(hot)
        if targets:
            self._hot[key] = hot
            if len(self._hot) > HOT_RECORDS_MAX:
                limit_hits.hit("HOT_RECORDS_MAX")
                _, oldest = self._hot.popitem(last=False)
                self._projection.delete(redis_key(oldest.aor))
        return targets

    def changed(self, key: bytes, record: Registration) -> "asyncio.Future[None] | None":
        """Replace a registration; the future to wait for until Redis shows it, if Redis has to."""
        if key in self._reading:
            self._reading[key] = registration.merge(self._reading[key], record)
        hot = self._hot.get(key)
        if hot is None:
            return None
        hot.record = registration.merge(hot.record, record)
        targets, shown = self._show(hot)
        if not targets:
            del self._hot[key]
        return shown

    def subscriber(self, key: bytes) -> HotSubscriber | None:
        """The subscriber under a lease; None if there is no lease and the replicas have to be
        asked."""
        found = self._subscribers.get(key)
        return found if found is not None and found.until_s > self._loop.time() else None

    def keep_subscriber(
        self, key: bytes, record: Subscriber | None, until_s: float, granters: Granters = ()
    ) -> None:
        """Take a read's result."""
        before = self._subscribers.pop(key, None)
        if before is not None and before.record is not None and record is not None:
            record = subscriber.merge(before.record, record)
        hot = HotSubscriber(record=record, until_s=until_s, granters=granters)
        self._subscribers[key] = hot
        if len(self._subscribers) > HOT_RECORDS_MAX:
            self._subscribers.popitem(last=False)

    def subscriber_changed(self, key: bytes, record: Subscriber) -> None:
        """Replace a subscriber."""
        found = self._subscribers.get(key)
        if found is not None:
            found.record = subscriber.merge(found.record, record) if found.record else record

    def _show(self, hot: HotRecord) -> tuple[tuple[Target, ...], "asyncio.Future[None]"]:
        now_ms = self._now_ms()
        targets = targets_of(hot.record, now_ms, self.lost())
        if not targets:
            return targets, self._projection.delete(redis_key(hot.aor))
        live = registration.in_force(hot.record, now_ms)
        first_end_ms = min(binding.expires_at_ms for binding in live) - now_ms
        lease_ms = int((hot.until_s - self._loop.time()) * 1000)
        ttl_ms = max(1, min(first_end_ms, lease_ms))
        until_ms = int(self._loop.time() * 1000) + ttl_ms
        value = encode_cached(CachedTargets(until_ms=until_ms, targets=targets))
        return targets, self._projection.set(redis_key(hot.aor), value, ttl_ms)
