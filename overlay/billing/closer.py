"""Closes calls whose BYE never came.

In: calls that are overdue at this node. Out: CLOSED events, with the time of the last proof of
life. Counterparts: `open_calls.py` knows which calls are overdue; the closers on the call's other
replicas.

The nearest live replica of a call asks all replicas and then closes the call. If it dies, the next
replica is the nearest. If two replicas close the call, both make the same event, as it is made of
the existing events alone. A BYE or a refresh that comes after all overrules it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from overlay.base import tasks
from overlay.base.errors import SipfarmError
from overlay.billing.open_calls import OpenCalls, overdue_us
from overlay.config.sections import BillingSection
from overlay.observe.figures import gauge, total
from overlay.observe.part import Part
from overlay.records import call
from overlay.records.assemble import last_proof_us
from overlay.records.call import PROOFS_OF_LIFE, CallEvent, EventKind, Level, event_id
from overlay.records.refusal import Refusal
from overlay.replication.events import EventWriter
from overlay.replication.replicas import Replicas
from overlay.storage.committer import Committer

log = logging.getLogger(__name__)

CHECK_S: Final = 5.0
AGAIN_S: Final = 30.0
"""Wait before a call that another replica should have closed is looked at again."""
TIMEOUT_S: Final = 5.0
PAGE_CALLS: Final = 500
SORTED_AT_ONCE: Final = 100
SORTED_PER_CHECK_MAX: Final = 2_000
"""Open calls for which each look checks whether this node is still their replica."""
SETTLED_PER_CHECK_MAX: Final = 500
"""Doubtful calls that each look looks up."""


def closing(events: Iterable[CallEvent], now_us: int, settings: BillingSection) -> CallEvent | None:
    """The event that closes the dialog of which these are all events; None if the dialog is over or
    not overdue."""
    known = sorted(events, key=lambda event: (event.time_us, event.event_id))
    start = next((event for event in known if event.kind is EventKind.START), None)
    if start is None or any(event.kind is EventKind.STOP for event in known):
        return None
    proof = [event for event in known if event.kind in PROOFS_OF_LIFE][-1]
    if overdue_us(proof, settings.close_grace_s, settings.call_max_s) > now_us:
        return None
    end_us = last_proof_us(known)
    identity = event_id(EventKind.CLOSED, start.call_id, start.from_tag, start.to_tag, str(end_us))
    if any(event.event_id == identity for event in known):
        return None
    return CallEvent(
        kind=EventKind.CLOSED,
        event_id=identity,
        call_id=start.call_id,
        from_tag=start.from_tag,
        to_tag=start.to_tag,
        time_us=end_us,
        from_uri=start.from_uri,
        to_uri=start.to_uri,
    )


class Closer(Part):
    """The closer of one node."""

    FIGURES = (
        gauge(
            "sipfarm_open_calls",
            "Calls without an end of which this node is a replica",
            lambda closer: len(closer.open_calls),
        ),
        total(
            "sipfarm_calls_closed_total",
            "Calls that this node closed, as their BYE never came",
            lambda closer: closer.closed,
        ),
    )

    def __init__(
        self,
        settings: BillingSection,
        replicas: Replicas,
        committer: Committer,
        events: EventWriter,
        open_calls: OpenCalls,
        now_ms: Callable[[], int],
    ) -> None:
        """`open_calls` gets every event that this node stores as a replica."""
        self._settings = settings
        self._replicas = replicas
        self._committer = committer
        self._events = events
        self._now_ms = now_ms
        self._task: asyncio.Task[None] | None = None
        self.open_calls = open_calls
        self.closed = 0
        """Calls that this node closed."""

    async def start(self) -> None:
        """Take in the calls on disk, and begin to look for overdue ones."""
        self._task = asyncio.create_task(self._keep_closing(), name="closer")

    async def stop(self) -> None:
        """End the task."""
        await tasks.end([self._task])

    async def close_overdue(self) -> None:
        """Look once, and close what is overdue; raises `SipfarmError`."""
        await self._settle_doubts()
        await self._sort()
        now_us = self._now_ms() * 1000
        for key in self.open_calls.overdue(now_us):
            nodes = self._replicas.placement.of(key)
            if nodes and (self._replicas.is_nearest(key) or not self._replicas.is_among(nodes)):
                await self._close(key, now_us)
            # Look again later: this look may fail, or the replica whose turn it is may have died.
            self.open_calls.again(key, now_us, AGAIN_S)

    # inner workings

    async def _keep_closing(self) -> None:
        loaded = False
        while True:
            try:
                if not loaded:
                    await self._load()
                    loaded = True
                await self.close_overdue()
            except SipfarmError as error:
                log.error("calls without a BYE cannot be closed: %s", error)
            except Exception:
                log.exception("calls without a BYE cannot be closed")
            await asyncio.sleep(CHECK_S)

    async def _load(self) -> None:
        """Take in the open calls that this node held before it started."""
        after, more = (self._now_ms() * 1000 - 2 * self._settings.call_max_s * 1_000_000, b""), True
        while more:
            position = after
            rows, more = await self._committer.read(
                lambda db, begin=position: db.calls_after(begin, 2**62, PAGE_CALLS)  # type: ignore[misc]
            )
            for time_us, key, bodies in rows:
                self.open_calls.settle(key, map(call.decode, bodies))
                after = (time_us, key)

    async def _settle_doubts(self) -> None:
        keys = self.open_calls.doubtful(SETTLED_PER_CHECK_MAX)
        if not keys:
            return
        held = await self._committer.read(lambda db: [(key, db.events(key)) for key in keys])
        for key, bodies in held:
            self.open_calls.settle(key, map(call.decode, bodies))

    async def _sort(self) -> None:
        """Check some calls at a time, as there may be many."""
        for _ in range(SORTED_PER_CHECK_MAX // SORTED_AT_ONCE):
            if not self.open_calls.sort(SORTED_AT_ONCE, self._is_mine):
                return
            await asyncio.sleep(0)

    def _is_mine(self, key: bytes) -> bool:
        """Whether this node is a replica of the call."""
        return self._replicas.is_among(self._replicas.placement.of(key))

    async def _close(self, key: bytes, now_us: int) -> None:
        bodies = await self._committer.read(lambda db: db.events(key))
        if not bodies:
            self.open_calls.settle(key, ())
            return
        call_id = call.decode(bodies[0]).call_id
        found = await self._events.read(call_id, TIMEOUT_S)
        if not found.complete:
            return
        dialogs: dict[frozenset[str], list[CallEvent]] = {}
        for event in found.record:
            dialogs.setdefault(frozenset((event.from_tag, event.to_tag)), []).append(event)
        # Take in the events that the other replicas had and this node did not.
        self.open_calls.settle(key, found.record)
        if not self._is_mine(key):
            return
        for events in dialogs.values():
            closed = closing(events, now_us, self._settings)
            if closed is not None and await self._write(closed):
                self.closed += 1
                log.warning("a call of which nothing was heard any more is closed")

    async def _write(self, event: CallEvent) -> bool:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def written(outcome: Level | Refusal) -> None:
            if not done.done():
                done.set_result(isinstance(outcome, Level))

        self._events.write(event, TIMEOUT_S, written)
        return await done
