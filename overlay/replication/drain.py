"""Takes this node out of service without anybody noticing, and proves that it is not needed.

In: the operator's wish. Out: the farm's other nodes hold all that this one holds, and say so by its
digests. Counterparts: membership tells everybody, so that placement and DNS pass this node over;
`repair.py` hands over and proves; `sipfarm node drain` asks until it is done.

A node that drains still answers, routes calls and takes what a peer sends that has not heard yet.
So a proof holds only if nothing came in while it was made. A restart ends the draining.
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from overlay import tasks
from overlay.config_sections import Overlay
from overlay.control.messages import Drained, DrainPhase
from overlay.errors import SipfarmError, UnavailableError
from overlay.links.messages import Traits
from overlay.membership.membership import Membership
from overlay.replication.events import EventWriter
from overlay.replication.repair import Proof, Repair
from overlay.replication.replica import Replica

log = logging.getLogger(__name__)

HEARD_S = 0.5
"""How long the others have to hear of it before a proof is begun."""
AGAIN_S = 0.5
"""Between a proof that failed and the next."""


class Drain:
    """The draining of one node."""

    def __init__(
        self,
        settings: Overlay,
        membership: Membership,
        repair: Repair,
        replica: Replica,
        events: EventWriter,
        changed: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._membership = membership
        self._repair = repair
        self._replica = replica
        self._events = events
        self._changed = changed
        self._proof = Proof()
        self._task: asyncio.Task[None] | None = None
        self.phase = DrainPhase.SERVING

    async def begin(self, *, forced: bool) -> Drained:
        """Begin, unless that is under way; raises `UnavailableError` when too few would stay.

        `forced`: with fewer than W others, too; records then have fewer than W replicas.
        """
        if self.phase is DrainPhase.SERVING:
            staying = self._others()
            if staying < self._settings.write_quorum and not forced:
                raise UnavailableError(
                    f"{staying} other nodes would stay, and a write needs"
                    f" {self._settings.write_quorum} (overlay.write_quorum): add a node first"
                )
            log.warning("draining: the other nodes take over what this one holds")
            self.phase = DrainPhase.DRAINING
            self._announce(draining=True)
            self._task = asyncio.create_task(self._prove(), name="drain")
        return self.state()

    async def end(self) -> Drained:
        """Serve again."""
        if self.phase is not DrainPhase.SERVING:
            await tasks.end([self._task])
            log.warning("serving again")
            self.phase, self._proof = DrainPhase.SERVING, Proof()
            self._announce(draining=False)
        return self.state()

    async def stop(self) -> None:
        """End the task; what was announced stays."""
        await tasks.end([self._task])

    def state(self) -> Drained:
        """How far it is."""
        return Drained(
            id=0,
            phase=self.phase,
            records=self._proof.records,
            unproven=self._proof.unproven,
            copies=self._proof.copies,
            journal=self._events.journal_depth,
            problem=self._proof.problem,
        )

    # inner workings

    def _others(self) -> int:
        return sum(not info.draining for info in self._membership.alive()[1:])

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
            # Once it is proven, only what still comes in has to be looked at.
            await asyncio.sleep(AGAIN_S if not done else self._settings.repair_interval_ms / 1000)
