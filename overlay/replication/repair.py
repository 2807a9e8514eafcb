"""Brings every record to all its replicas, again and again.

In: the records that this node holds, and the nodes that should hold them too. Out: offers of keys
and digests, and the records that a peer then asks for. Counterpart: `replica.offered` on the peer.

If two copies differ, both nodes offer theirs, and merging does the rest. So replicas converge,
whichever of them missed something. After a change in the farm, a pass runs at full speed. At other
times it looks at one slice a second.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from overlay.base import tasks
from overlay.base.errors import SipfarmError
from overlay.links.peer_protocol import Failed, PeerReply
from overlay.links.record_messages import Offer, Store, Stored, Wanted
from overlay.observe.figures import total
from overlay.observe.part import Part
from overlay.records.names import RecordKind
from overlay.records.node_info import NodeInfo
from overlay.replication.proof import Absence, Findings, Looked, Proof
from overlay.replication.replica import digest_of
from overlay.replication.replicas import Replicas

log = logging.getLogger(__name__)

SLICE = 200
SETTLE_S = 0.3
"""Wait after a change in the farm, before a pass begins."""
PAUSE_S = 1.0
TIMEOUT_S = 2.0

Bodies = tuple[bytes, ...]


class Repair(Part):
    """The passes of one node over the records that it holds."""

    FIGURES = (
        total(
            "sipfarm_repairs_sent_total",
            "Records handed to replicas that lacked them",
            lambda repair: repair.sent,
        ),
    )

    def __init__(self, replicas: Replicas, interval_s: float) -> None:
        """`interval_s`: time between two passes while the farm stays the same."""
        self._replicas = replicas
        self._replica = replicas.own
        self._interval_s = interval_s
        self._urgent = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.sent = 0
        """Records that were sent to peers that lacked them."""

    async def start(self) -> None:
        """Begin the first pass."""
        self._urgent.set()
        self._task = asyncio.create_task(self._keep_passing(), name="repair")

    async def stop(self) -> None:
        """End the task."""
        await tasks.end([self._task])

    def farm_changed(self) -> None:
        """Begin a pass at full speed, as a node came or went."""
        self._urgent.set()

    async def prove(self) -> Proof:
        """Look at all records of this node, hand over those that are missing elsewhere, and count.

        Raises `SipfarmError` if the records cannot be read.
        """
        findings = Findings()
        for kind in RecordKind:
            async for keys in self._slices(kind):
                for looked in await self._offer(kind, keys):
                    findings.add(looked)
        return findings.proof()

    async def _keep_passing(self) -> None:
        while True:
            urgent = self._urgent.is_set()
            if urgent:
                await asyncio.sleep(SETTLE_S)
                self._urgent.clear()
            try:
                for kind in RecordKind:
                    async for keys in self._slices(kind):
                        await self._offer(kind, keys)
                        if not urgent:
                            await self._pause(PAUSE_S)
            except SipfarmError as error:
                log.error("repair: %s", error)
            await self._pause(self._interval_s)

    async def _pause(self, pause_s: float) -> None:
        """Sleep until time is up or the farm changes."""
        try:
            async with asyncio.timeout(pause_s):
                await self._urgent.wait()
        except TimeoutError:
            pass

    async def _slices(self, kind: RecordKind) -> AsyncIterator[list[bytes]]:
        """The keys of the records that this node holds, a slice at a time."""
        if kind is RecordKind.CALL:
            after = b""
            while keys := await self._call_keys(after):
                yield keys
                after = keys[-1]
            return
        held = (
            self._replica.bindings
            if kind is RecordKind.REGISTRATION
            else (self._replica.subscribers)
        )
        keys = held.keys()
        for begin in range(0, len(keys), SLICE):
            yield keys[begin : begin + SLICE]

    async def _call_keys(self, after: bytes) -> list[bytes]:
        return await self._replica.committer.read(lambda db: db.call_keys_after(after, SLICE))

    async def _offer(self, kind: RecordKind, keys: list[bytes]) -> list[Looked]:
        """Offer each of these records to its other replicas, and send those that they want.

        Returns for each record the number of replicas that have it now, and those that should have
        it and do not.
        """
        copies = {k: bodies for k, bodies in (await self._copies(kind, keys)).items() if bodies}
        by_peer: dict[NodeInfo, list[bytes]] = {}
        there = dict.fromkeys(copies, 0)
        without: dict[bytes, list[Absence]] = {key: [] for key in copies}
        for key in copies:
            nodes = await self._replicas.placement.find(key, TIMEOUT_S)
            for node in self._replicas.others(nodes):
                by_peer.setdefault(node, []).append(key)
        refusals = await asyncio.gather(
            *(
                self._offer_to(node, kind, {key: copies[key] for key in offered})
                for node, offered in by_peer.items()
            )
        )
        for (node, offered), refused in zip(by_peer.items(), refusals, strict=True):
            for key in offered:
                if key in refused:
                    without[key].append(Absence(node=node.name, why=refused[key]))
                else:
                    there[key] += 1
        return [
            Looked(kind=kind, key=key, there=there[key], without=tuple(without[key]))
            for key in copies
        ]

    async def _copies(self, kind: RecordKind, keys: list[bytes]) -> dict[bytes, Bodies]:
        if kind is RecordKind.CALL:
            since_us = self._replica.horizon_us()
            return await self._replica.committer.read(
                lambda db: {key: db.events(key, since_us) for key in keys}
            )
        bodies = {key: self._replica.local(kind, key) for key in keys}
        return {key: (body,) if body else () for key, body in bodies.items()}

    async def _offer_to(
        self, node: NodeInfo, kind: RecordKind, copies: dict[bytes, Bodies]
    ) -> dict[bytes, str]:
        """Offer records to a peer and send those that it wants; for each key that it did not take,
        the reason."""
        records = tuple((key, digest_of(*bodies)) for key, bodies in copies.items())
        offer = Offer(kind=kind, records=records)
        reply = await self._replicas.transport.ask(node.node_id, offer, TIMEOUT_S)
        if not isinstance(reply, Wanted):
            return dict.fromkeys(copies, why_not(reply))
        stores = [
            Store(kind=kind, key=key, body=body)
            for key in reply.keys
            for body in copies.get(key, ())
        ]
        self.sent += len(stores)
        sending = (self._replicas.ask(node, store, TIMEOUT_S) for store in stores)
        refused: dict[bytes, str] = {}
        for store, answer in zip(stores, await asyncio.gather(*sending), strict=True):
            if not isinstance(answer, Stored):
                refused[store.key] = why_not(answer)
            if isinstance(answer, Failed):
                log.info("repair: %s did not take a record: %s", node.name, answer.reason)
        return refused


def why_not(reply: PeerReply) -> str:
    """The reason in the reply of a peer that did not do what it was asked."""
    return reply.reason if isinstance(reply, Failed) else f"it answers {type(reply).__name__}"
