"""Takes this node out of service without an interruption, and proves that it is not needed any
more.

In: the operator's wish, which `overlay.maintenance` has allowed. Out: the other nodes hold all
records that this node holds, and confirm it by the records' digests. Counterparts: membership tells
the farm, so that placement and DNS pass this node over; `repair.py` hands records over and proves;
`sipfarm node drain` asks until it is done.

A draining node still answers and routes calls. It also takes records from a peer that does not know
yet that it drains. So a proof holds only if nothing came in while it was made. A restart ends the
draining.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from overlay.base import tasks
from overlay.base.errors import SipfarmError
from overlay.config.sections import OverlaySection
from overlay.membership.membership import Membership
from overlay.observe.part import Part
from overlay.records.draining import DrainPhase, DrainState, Missing, Withheld
from overlay.records.names import RecordKind
from overlay.records.node_info import Traits
from overlay.replication.events import EventWriter
from overlay.replication.proof import Proof
from overlay.replication.repair import Repair
from overlay.replication.replica import Replica

log = logging.getLogger(__name__)

HEARD_S = 0.5
"""Time for the other nodes to hear of the draining, before the first proof begins."""
AGAIN_S = 0.5
"""Pause between a failed proof and the next."""
NAMED_AFTER_S = 3.0
"""Time without progress after which the missing records are named."""

NamesOf = Callable[[Sequence[tuple[RecordKind, bytes]]], Awaitable[list[str]]]


class Drainer(Part):
    """The draining of one node."""

    def __init__(
        self,
        settings: OverlaySection,
        membership: Membership,
        repair: Repair,
        replica: Replica,
        events: EventWriter,
        names_of: NamesOf,
        changed: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._membership = membership
        self._repair = repair
        self._replica = replica
        self._events = events
        self._names_of = names_of
        self._changed = changed
        self._proof = Proof()
        self._named: tuple[Missing, ...] = ()
        self._loop = asyncio.get_running_loop()
        self._moved_s = 0.0
        self._least = math.inf
        """The smallest number of missing records and events so far."""
        self._task: asyncio.Task[None] | None = None
        self.phase = DrainPhase.SERVING

    def begin(self) -> DrainState:
        """Begin to drain, unless that is under way."""
        if self.phase is DrainPhase.SERVING:
            log.warning("draining: the other nodes take over what this one holds")
            self.phase = DrainPhase.DRAINING
            self._moved_s, self._least = self._loop.time(), math.inf
            self._announce(draining=True)
            self._task = asyncio.create_task(self._prove(), name="drain")
        return self.state()

    async def end(self) -> DrainState:
        """Put the node back into service."""
        if self.phase is not DrainPhase.SERVING:
            await tasks.end([self._task])
            log.warning("serving again")
            self.phase, self._proof, self._named = DrainPhase.SERVING, Proof(), ()
            self._announce(draining=False)
        return self.state()

    async def stop(self) -> None:
        """End the task. The other nodes still count this node as draining."""
        await tasks.end([self._task])

    def state(self) -> DrainState:
        """How far the draining is."""
        return DrainState(
            phase=self.phase,
            records=self._proof.records,
            unproven=self._proof.unproven,
            copies=self._proof.copies,
            journal=self._events.journal_depth,
            problem=self._proof.problem,
            still_s=self._still_s(),
            missing=self._named,
            peers=tuple(
                Withheld(name=each.name, records=each.records, why=each.why)
                for each in self._proof.lacking
            ),
            events=self._events.journal.waiting if self._events.journal_depth else (),
        )

    # inner workings

    def _still_s(self) -> float:
        """Seconds without progress."""
        if self.phase is not DrainPhase.DRAINING:
            return 0.0
        return round(self._loop.time() - self._moved_s, 1)

    def _announce(self, *, draining: bool) -> None:
        traits = self._membership.own.traits or Traits()
        self._membership.announce(msgspec.structs.replace(traits, draining=draining))
        self._changed()

    async def _prove(self) -> None:
        """Hand over until a whole pass finds nothing to hand over."""
        await asyncio.sleep(HEARD_S)
        while True:
            came = self._replica.stored
            try:
                proof = await self._repair.prove()
            except SipfarmError as error:
                proof = Proof(unproven=1, problem=str(error))
            if self._replica.stored != came and not proof.problem:
                proof = msgspec.structs.replace(proof, problem="a peer still sends records")
            self._proof = proof
            done = not (proof.unproven or proof.problem or self._events.journal_depth)
            if done and self.phase is DrainPhase.DRAINING:
                log.warning("drained: %d records are held by others", proof.records)
            self.phase = DrainPhase.DRAINED if done else DrainPhase.DRAINING
            self._note_progress(done)
            await self._name()
            # After a proof, only records that still come in have to be looked at.
            await asyncio.sleep(AGAIN_S if not done else self._settings.repair_interval_ms / 1000)

    def _note_progress(self, done: bool) -> None:
        left = self._proof.unproven + self._events.journal_depth
        # The first pass has none before it to compare with. It is progress if it proved anything.
        first_proven = self._least == math.inf and self._proof.unproven < self._proof.records
        if done or first_proven or left < self._least < math.inf:
            self._moved_s = self._loop.time()
        self._least = math.inf if done else min(left, self._least)

    async def _name(self) -> None:
        """Look up the names of the missing records, if there was no progress for a while."""
        missing = self._proof.missing if self._still_s() >= NAMED_AFTER_S else ()
        try:
            names = await self._names_of([(each.kind, each.key) for each in missing])
        except SipfarmError as error:
            log.error("drain: the missing records cannot be named: %s", error)
            names = [""] * len(missing)
        self._named = tuple(
            Missing(
                kind=each.kind.name.lower(),
                name=name,
                key=each.key,
                peers=tuple(absence.node for absence in each.without),
            )
            for each, name in zip(missing, names, strict=True)
        )
