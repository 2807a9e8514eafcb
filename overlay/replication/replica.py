"""This node as a replica: it merges the records that it is sent, and answers reads.

In: Store, Fetch and Offer of coordinators, this node included. Out: merged records, kept in memory
or on disk, as their kind demands. Counterparts: `registrations.py`, `events.py` and
`subscribers.py` coordinate; `repair.py` offers.

A changed registration is pushed to the holders of leases on it before the change is acknowledged.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

import msgspec

from overlay.base import limit_hits
from overlay.base.errors import ForgedError, StorageError
from overlay.base.limits import (
    BINDINGS_PER_AOR_MAX,
    CALLS_COUNTED_MAX,
    EVENTS_PER_CALL_MAX,
    REGISTRATIONS_MAX,
)
from overlay.cache.hot import HotRecords
from overlay.links.link import Answered
from overlay.links.network import Transport
from overlay.links.peer_part import Handlers, PeerPart, calls_back, waits
from overlay.links.peer_protocol import Ack, Failed, PeerReply
from overlay.links.record_messages import (
    Changed,
    Fetch,
    Fetched,
    Offer,
    Store,
    Stored,
    StoreMany,
    Wanted,
)
from overlay.observe.figures import gauge
from overlay.records import call, registration, subscriber
from overlay.records.call import CallEvent
from overlay.records.names import RecordKind, key_of
from overlay.records.registration import Registration
from overlay.replication.leases import Leases
from overlay.replication.vetting import Vetting
from overlay.storage.bindings import Bindings
from overlay.storage.committer import Committed, Committer
from overlay.storage.rows import SubscriberRow, event_row
from overlay.storage.subscribers import StoredSubscribers

log = logging.getLogger(__name__)

PUSH_TIMEOUT_S = 0.2
"""How long an acknowledgement waits for a lease holder to confirm a push."""

EventStored = Callable[[bytes, CallEvent], None]
"""Called with the call's key and the event."""


def digest_of(*bodies: bytes) -> bytes:
    """8 bytes that tell whether two copies are the same."""
    state = blake2b(digest_size=8)
    for body in bodies:
        state.update(body)
    return state.digest()


class Replica(PeerPart):
    """The copies of records that this node holds."""

    FIGURES = (
        gauge(
            "sipfarm_subscribers",
            "Subscriber records held",
            lambda replica: len(replica.subscribers),
        ),
        gauge(
            "sipfarm_leased_keys",
            "Records of this node that other nodes may answer from their caches",
            lambda replica: len(replica.leases),
        ),
    )

    def __init__(
        self,
        *,
        own_id: bytes,
        bindings: Bindings,
        subscribers: StoredSubscribers,
        committer: Committer,
        hot: HotRecords,
        transport: Transport,
        now_ms: Callable[[], int],
        vetting: Vetting,
        horizon_us: Callable[[], int],
        event_stored: EventStored,
    ) -> None:
        """Calls without an event since `horizon_us` have expired: they are neither shown nor
        offered. `event_stored` is called with every call event that this node, as a replica, has on
        its disk, whichever node wrote it."""
        self.now_ms = now_ms
        self.horizon_us = horizon_us
        self._event_stored = event_stored
        self._vetting = vetting
        self._own_id = own_id
        self.bindings = bindings
        self.subscribers = subscribers
        self.committer = committer
        self.leases = Leases()
        self._events_of: OrderedDict[bytes, int] = OrderedDict()
        self.stored = 0
        """The number of records that other nodes sent, coordinators and repairs."""
        self._hot = hot
        self._transport = transport
        self._loop = asyncio.get_running_loop()

    def requests(self) -> Handlers:
        return (
            calls_back(Store, self.store),
            calls_back(StoreMany, self.store_many),
            calls_back(Fetch, self.fetch),
            waits(Offer, lambda _, offer: self.offered(offer)),
        )

    # Registrations

    def registration(self, key: bytes) -> Registration:
        """The local copy; empty if there is none."""
        body = self.bindings.get(key)
        return registration.decode(body) if body else ()

    def encoded(self, key: bytes, record: Registration) -> bytes:
        """The encoding of the record that `apply_registration` returned: the local copy, if there
        is one."""
        return self.bindings.get(key) or registration.encode(record)

    def apply_registration(self, key: bytes, delta: Registration) -> tuple[Registration, bool]:
        """Merge into the local copy; returns the merged record, and whether that changed it.

        Raises `ValueError` if the record would become too large.
        """
        now_ms, before = self.now_ms(), self.registration(key)
        kept = registration.standing(before, now_ms)
        merged = registration.merge(kept, registration.standing(delta, now_ms))
        if merged is before:
            return before, False
        merged = registration.prune(merged, now_ms)
        if merged == before:
            return before, False
        if len(merged) > BINDINGS_PER_AOR_MAX:
            limit_hits.hit("BINDINGS_PER_AOR_MAX")
            raise ValueError(f"more than {BINDINGS_PER_AOR_MAX} entries in a registration record")
        if not before and len(self.bindings) >= REGISTRATIONS_MAX:
            limit_hits.hit("REGISTRATIONS_MAX")
            raise ValueError(f"this node holds {REGISTRATIONS_MAX} registration records")
        self.bindings.put(key, registration.encode(merged))
        return merged, True

    def spread(
        self, key: bytes, record: Registration, skip: bytes, done: Callable[[], None]
    ) -> None:
        """Tell the local cache and all lease holders except `skip`. `done` is called when all of
        them know, or failed to answer."""
        now_s = self._loop.time()
        holders = [holder for holder in self.leases.holders(key, now_s) if holder != skip]
        local = self._hot.changed(key, record)
        left = len(holders) + (local is not None)
        if left == 0:
            done()
            return

        def one_less(_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                done()

        if local is not None:
            local.add_done_callback(one_less)
        if holders:
            push = Changed(kind=RecordKind.REGISTRATION, key=key, body=registration.encode(record))
            for holder in holders:
                self._transport.request(holder, push, one_less, PUSH_TIMEOUT_S)

    # Call events

    def keep_event(self, key: bytes, event: CallEvent, body: bytes, committed: Committed) -> None:
        """Put an event, encoded in `body`, on this node's disk as one of its replicas."""

        def done(error: StorageError | None) -> None:
            if error is None:
                self._event_stored(key, event)
            committed(error)

        self.committer.commit(event_row(key, event, body), done)

    # What peers ask.

    def store(self, sender: bytes, request: Store, answer: Answered) -> None:
        """Merge a record that a coordinator sends."""
        self.stored += sender != self._own_id
        try:
            if request.kind == RecordKind.REGISTRATION:
                self._store_registration(sender, request, answer)
            elif request.kind == RecordKind.CALL:
                self._store_event(request, answer)
            elif request.kind == RecordKind.SUBSCRIBER:
                self._store_subscriber(request, answer)
            else:
                answer(Failed(code="bad-request", reason=f"unknown kind {request.kind}"))
        except ForgedError as error:
            answer(Failed(code="forged", reason=str(error)))
        except (msgspec.MsgspecError, ValueError) as error:
            answer(Failed(code="bad-request", reason=str(error)))

    def store_many(self, sender: bytes, request: StoreMany, answer: Answered) -> None:
        """Merge records that W replicas hold already."""
        left, failed = len(request.records), ""

        def one_less(reply: PeerReply) -> None:
            nonlocal left, failed
            left -= 1
            if isinstance(reply, Failed):
                failed = reply.reason
            if left == 0:
                answer(Failed(code="storage", reason=failed) if failed else Ack())

        for key, body in request.records:
            self.store(sender, Store(kind=request.kind, key=key, body=body), one_less)
        if not request.records:
            answer(Ack())

    def fetch(self, sender: bytes, request: Fetch, answer: Answered) -> None:
        """Read the local copy."""
        lease_ms = request.lease_ms
        if lease_ms > 0 and sender != self._own_id:
            now_s = self._loop.time()
            until_s = now_s + lease_ms / 1000
            if not self.leases.grant(request.key, sender, now_s, until_s):
                lease_ms = 0
        if request.kind == RecordKind.CALL:
            since_us = self.horizon_us()
            reading = asyncio.ensure_future(
                self.committer.read(lambda db: db.events(request.key, since_us))
            )

            def read(future: "asyncio.Future[tuple[bytes, ...]]") -> None:
                error = future.exception()
                if error is not None:
                    answer(Failed(code="storage", reason=str(error)))
                else:
                    answer(Fetched(bodies=future.result()))

            reading.add_done_callback(read)
            return
        body = self.local(request.kind, request.key)
        answer(Fetched(bodies=(body,) if body else (), lease_ms=lease_ms))

    def local(self, kind: int, key: bytes) -> bytes | None:
        """The local copy of a record that is kept in memory, encoded."""
        if kind == RecordKind.REGISTRATION:
            return self.bindings.get(key)
        return self.subscribers.get(key)

    async def offered(self, offer: Offer) -> PeerReply:
        """The keys of the offered records that this node lacks or has in another version."""
        if offer.kind == RecordKind.CALL:
            since_us = self.horizon_us()
            mine = await self.committer.read(
                lambda db: {key: db.events(key, since_us) for key, _ in offer.records}
            )
        else:
            bodies = {key: self.local(offer.kind, key) for key, _ in offer.records}
            mine = {key: (body,) if body else () for key, body in bodies.items()}
        wanted = [key for key, digest in offer.records if digest_of(*mine[key]) != digest]
        return Wanted(keys=tuple(wanted))

    # inner workings

    def _store_registration(self, sender: bytes, request: Store, answer: Answered) -> None:
        delta = registration.decode(request.body)
        if request.expected and registration.ended(delta, self.now_ms()):
            # Acknowledging the record and then pruning it would bring back the record that it
            # replaces.
            answer(Failed(code="clock", reason="it ended before it came: whose clock is wrong?"))
            return
        record, changed = self.apply_registration(request.key, delta)
        reply = Stored()
        if request.expected:
            body = self.encoded(request.key, record)
            if digest_of(body) != request.expected:
                reply = Stored(body=body)
        if changed:
            self.spread(request.key, record, sender, lambda: answer(reply))
        else:
            answer(reply)

    def _store_event(self, request: Store, answer: Answered) -> None:
        event = call.decode(request.body)
        if len(event.event_id) != 20 or key_of(RecordKind.CALL, event.call_id) != request.key:
            raise ValueError("an event's id or key is wrong")
        self._count_event(request.key)
        self.keep_event(request.key, event, request.body, lambda error: answer(_outcome(error)))

    def _count_event(self, key: bytes) -> None:
        """Count an event; raises `ValueError` if peers store too many events under one key."""
        count = self._events_of.pop(key, 0) + 1
        self._events_of[key] = count
        if len(self._events_of) > CALLS_COUNTED_MAX:
            self._events_of.popitem(last=False)
        if count > EVENTS_PER_CALL_MAX:
            limit_hits.hit("EVENTS_PER_CALL_MAX")
            raise ValueError(f"more than {EVENTS_PER_CALL_MAX} events of one call")

    def _store_subscriber(self, request: Store, answer: Answered) -> None:
        sent = self._vetting.subscriber(request.key, request.body)
        is_new = self.subscribers.get(request.key) is None and not sent.removed
        record = self.subscribers.merge(request.key, sent)
        body = subscriber.encode(record)
        reply = Stored()
        if request.expected and digest_of(body) != request.expected:
            reply = Stored(body=body)
        row = SubscriberRow(key=request.key, aor=record.aor, body=body, new=is_new)
        self._hot.subscriber_changed(request.key, record)
        for holder in self.leases.holders(request.key, self._loop.time()):
            push = Changed(kind=RecordKind.SUBSCRIBER, key=request.key, body=body)
            self._transport.request(holder, push, lambda _: None, PUSH_TIMEOUT_S)
        self.committer.commit(row, lambda error: answer(_outcome(error) if error else reply))


def _outcome(error: StorageError | None) -> PeerReply:
    return Failed(code="storage", reason=str(error)) if error else Stored()
