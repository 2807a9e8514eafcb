"""Closes calls whose BYE never came.

In: calls that are overdue at this node. Out: CLOSED events, as late as the last proof of life.
Counterparts: `open_calls.py` knows which; the closers of the call's other replicas.

The nearest live replica of a call closes it, after it has asked all of them; when it dies, the next
one is the nearest. Should two of them close it, theirs is the same event: it is made of nothing but
the events that there are. A BYE that comes after all, or a refresh, overrules it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from overlay.base import tasks
from overlay.base.errors import SipfarmError
from overlay.base.limits import OPEN_CALLS_MAX
from overlay.billing.open_calls import OpenCalls, overdue_us
from overlay.config.sections import Billing
from overlay.observe.figures import Figures, gauge, total
from overlay.observe.part import Part
from overlay.records import call
from overlay.records.assemble import last_proof_us
from overlay.records.call import PROOFS_OF_LIFE, CallEvent, EventKind, event_id
from overlay.replication.events import EventWriter
from overlay.replication.placement import Placement
from overlay.storage.committer import Committer

log = logging.getLogger(__name__)

CHECK_S: Final = 5.0
AGAIN_S: Final = 30.0
"""After which a call is looked at again that another replica should have closed."""
TIMEOUT_S: Final = 5.0
PAGE_CALLS: Final = 500


def closing(events: Iterable[CallEvent], now_us: int, settings: Billing) -> CallEvent | None:
    """What closes the dialog of which these are all events; None if it is over or not overdue."""
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
    """One node's."""

    def __init__(
        self,
        own_id: bytes,
        settings: Billing,
        placement: Placement,
        committer: Committer,
        events: EventWriter,
        now_ms: Callable[[], int],
    ) -> None:
        self._own_id = own_id
        self._settings = settings
        self._placement = placement
        self._committer = committer
        self._events = events
        self._now_ms = now_ms
        self._task: asyncio.Task[None] | None = None
        self.open_calls = OpenCalls(
            grace_s=settings.close_grace_s,
            longest_s=settings.call_max_s,
            calls_max=OPEN_CALLS_MAX,
        )
        self.closed = 0
        """Calls that this node closed."""

    async def start(self) -> None:
        """Begin with what is on disk."""
        self._task = asyncio.create_task(self._keep_closing(), name="closer")

    async def stop(self) -> None:
        """End the task."""
        await tasks.end([self._task])

    def figures(self) -> Figures:
        return (
            gauge(
                "sipfarm_open_calls",
                "Calls without an end of which this node is a replica",
                lambda: len(self.open_calls),
            ),
            total(
                "sipfarm_calls_closed",
                "Calls that this node closed, as their BYE never came",
                lambda: self.closed,
            ),
        )

    async def close_overdue(self) -> None:
        """Look once; raises `SipfarmError`."""
        now_us = self._now_ms() * 1000
        for key in self.open_calls.overdue(now_us):
            nodes = self._placement.of(key)
            if nodes and nodes[0].node_id == self._own_id:
                await self._close(key, now_us)
            # In case that it did not work, or that the one whose turn it is died.
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
        """The open calls that this node held before it started."""
        after, more = (self._now_ms() * 1000 - 2 * self._settings.call_max_s * 1_000_000, b""), True
        while more:
            position = after
            rows, more = await self._committer.read(
                lambda db, begin=position: db.calls_after(begin, 2**62, PAGE_CALLS)  # type: ignore[misc]
            )
            for time_us, key, bodies in rows:
                for body in bodies:
                    self.open_calls.saw(key, call.decode(body))
                after = (time_us, key)

    async def _close(self, key: bytes, now_us: int) -> None:
        bodies = await self._committer.read(lambda db: db.events(key))
        if not bodies:
            return
        call_id = call.decode(bodies[0]).call_id
        found = await self._events.read(call_id, TIMEOUT_S)
        if not found.complete:
            return
        dialogs: dict[frozenset[str], list[CallEvent]] = {}
        for event in found.record:
            dialogs.setdefault(frozenset((event.from_tag, event.to_tag)), []).append(event)
            # What another replica had and this one did not.
            self.open_calls.saw(key, event)
        for events in dialogs.values():
            closed = closing(events, now_us, self._settings)
            if closed is not None and await self._write(closed):
                self.closed += 1
                log.warning("a call of which nothing was heard any more is closed")

    async def _write(self, event: CallEvent) -> bool:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def written(level: str, reason: str) -> None:
            if not done.done():
                done.set_result(bool(level))

        self._events.write(event, TIMEOUT_S, written)
        return await done
