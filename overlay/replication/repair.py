"""Brings every record to all its replicas, again and again.

In: what this node holds, who should hold it too. Out: offers of keys and digests, and the records
that a peer turns out to lack. Counterpart: `replica.offered` at the peer. Both sides of a
difference offer, and merging does the rest, so replicas converge whoever missed what.

After a change in the farm a pass runs at full speed; otherwise one slice a second.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from overlay.base import tasks
from overlay.base.errors import SipfarmError
from overlay.links.peer_protocol import Failed, PeerReply
from overlay.links.record_messages import Offer, Store, Stored, Wanted
from overlay.records.names import RecordKind
from overlay.records.node_info import NodeInfo
from overlay.replication.proof import Absence, Findings, Looked, Proof
from overlay.replication.replica import digest_of
from overlay.replication.replicas import Replicas

log = logging.getLogger(__name__)

SLICE = 200
SETTLE_S = 0.3
"""How long a change in the farm is left to settle before a pass begins."""
PAUSE_S = 1.0
TIMEOUT_S = 2.0

Bodies = tuple[bytes, ...]


class Repair:
    """The passes of one node over what it holds."""

    def __init__(self, replicas: Replicas, interval_s: float) -> None:
        """`interval_s`: between two passes while the farm stays the same."""
        self._replicas = replicas
        self._replica = replicas.own
        self._interval_s = interval_s
        self._urgent = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.sent = 0
        """Records handed to peers that lacked them."""

    def start(self) -> None:
        """Begin the first pass."""
        self._urgent.set()
        self._task = asyncio.create_task(self._keep_passing(), name="repair")

    async def stop(self) -> None:
        """End the task."""
        await tasks.end([self._task])

    def farm_changed(self) -> None:
        """Somebody came or went."""
        self._urgent.set()

    async def prove(self) -> Proof:
        """Look at all that this node holds, hand over what is missing elsewhere, and count.

        Raises `SipfarmError` when the records cannot be read.
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
        """Sleep, unless the farm changes."""
        try:
            async with asyncio.timeout(pause_s):
                await self._urgent.wait()
        except TimeoutError:
            pass

    async def _slices(self, kind: RecordKind) -> AsyncIterator[list[bytes]]:
        """The keys that this node holds, a slice at a time."""
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
        """Offer each of these records to its other replicas, and send what they want.

        Of each, on how many of them it is now, and on which it should be and is not.
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
        """The keys of those that the peer does not have after all, and why."""
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
    """What a peer says that does not do what it was asked to."""
    return reply.reason if isinstance(reply, Failed) else f"it answers {type(reply).__name__}"
