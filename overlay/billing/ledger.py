"""Signs the events that this node writes into the billing records, a block of events at a time.

In: events that this node coordinates, as it takes them on; events that no disk took after all; the
heads of other nodes' chains, from `witness.py`. Out: signed blocks, on this node's disk and on the
replicas. Counterparts: `chain.py` defines the blocks; `audit.py` compares the records with them.

    event ─► entry in memory ─► BLOCK_EVENTS, or SEAL_S ─► block signed ─► own disk, with the head
                                                                         └► its replicas

No message waits for a block: an event costs neither a signature nor an fsync. If a node dies, the
entries of its last seconds are lost. The audit then knows that their events are not signed.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import msgspec

from overlay.base import decoding, limit_hits, tasks
from overlay.base.errors import StorageError
from overlay.base.limits import UNSIGNED_EVENTS_MAX
from overlay.billing import chain
from overlay.billing.chain import Block, ChainEntry
from overlay.billing.witness import Witness
from overlay.identity.identity import Identity
from overlay.observe.figures import gauge, total
from overlay.observe.part import Part
from overlay.records import call
from overlay.records.call import CallEvent
from overlay.records.names import RecordKind, key_of
from overlay.replication.replicas import Replicas
from overlay.storage.committer import Committer
from overlay.storage.rows import EventRow, event_row

log = logging.getLogger(__name__)

SEAL_S: Final = 10.0
BLOCK_EVENTS: Final = 500
"""A block with so many events has 32 KiB."""
TOGETHER: Final = 32
"""Events that are digested together. If they came one by one, each would find the processor's
caches cold."""


class Head(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The last block of a node's chain, as the node remembers it."""

    chain: int
    number: int = 0
    head: bytes = b""


_decode_head = decoding.msgpack(Head)


class Ledger(Part):
    """The ledger of one node: its chain of signed blocks."""

    FIGURES = (
        gauge(
            "sipfarm_unsigned_events",
            "Call events of this node that no signed block has yet",
            lambda ledger: ledger.unsigned,
        ),
        total(
            "sipfarm_blocks_signed_total",
            "Signed blocks of call events",
            lambda ledger: ledger.blocks,
        ),
        total(
            "sipfarm_block_failures_total",
            "Failed tries at storing a signed block",
            lambda ledger: ledger.failures,
        ),
    )

    def __init__(
        self,
        identity: Callable[[], Identity],
        replicas: Replicas,
        committer: Committer,
        witness: Witness,
        tick: Callable[[], int],
        now_ms: Callable[[], int],
        incarnation: int,
    ) -> None:
        """`incarnation` names the chain that this node begins if it has none yet."""
        self._identity = identity
        self._replicas = replicas
        self._committer = committer
        self._witness = witness
        self._tick = tick
        self._now_ms = now_ms
        self._incarnation = incarnation
        self._fresh: list[CallEvent] = []
        """Events that have no entry yet; fewer than `TOGETHER`."""
        self._entries: list[ChainEntry] = []
        self._withdrawn: list[bytes] = []
        self._last = Head(chain=0)
        self._after = 0
        self._full = asyncio.Event()
        self._sealing = asyncio.Lock()
        self._unwritten: tuple[Block, EventRow] | None = None
        self._task: asyncio.Task[None] | None = None
        self.blocks = 0
        """Blocks signed since the start."""
        self.failures = 0

    @property
    def unsigned(self) -> int:
        """The number of events that are in no block yet."""
        return len(self._entries) + len(self._fresh)

    async def start(self) -> None:
        """Go on with the chain where the node's last run ended; raises `StorageError`."""
        body = await self._committer.read(lambda db: db.chain_head())
        self._last = _decode_head(body) if body else Head(chain=self._incarnation)
        self._after = self._tick()
        if self._identity().key is not None:
            self._task = asyncio.create_task(self._keep_sealing(), name="ledger")

    async def stop(self) -> None:
        """Sign the remaining events."""
        if self._task is not None:
            await tasks.end([self._task])
            while (self.unsigned or self._witness.calls_for_a_block) and await self.seal():
                pass

    def took_on(self, event: CallEvent) -> None:
        """Note that this node writes the event."""
        if self._task is None:
            return
        if self.unsigned >= UNSIGNED_EVENTS_MAX:
            limit_hits.hit("UNSIGNED_EVENTS_MAX")
            return
        self._fresh.append(event)
        if len(self._fresh) >= TOGETHER:
            self._digest()
            if len(self._entries) >= BLOCK_EVENTS:
                self._full.set()

    def gave_up(self, event_id: bytes) -> None:
        """Note that no disk took the event, as far as this node knows."""
        if self._task is not None and len(self._withdrawn) < UNSIGNED_EVENTS_MAX:
            self._withdrawn.append(event_id)

    async def seal(self) -> bool:
        """Sign the next block, if there is one to sign; False if the disk did not take it."""
        async with self._sealing:
            return await self._seal()

    # inner workings

    def _digest(self) -> None:
        self._entries.extend(map(chain.entry, self._fresh))
        self._fresh.clear()

    async def _keep_sealing(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SEAL_S):
                    await self._full.wait()
            except TimeoutError:
                pass
            self._full.clear()
            if not await self.seal():
                await asyncio.sleep(SEAL_S)
            elif len(self._entries) >= BLOCK_EVENTS:
                self._full.set()

    async def _seal(self) -> bool:
        if self._unwritten is None:
            self._unwritten = self._next_block()
        if self._unwritten is None:
            return True
        block, row = self._unwritten
        try:
            await self._committer.commit_wait(row)
        except StorageError as error:
            # The disk may have the block all the same. So the same block is tried again, and no
            # other.
            self.failures += 1
            log.error("a signed block of call events cannot be stored: %s", error)
            return False
        self._unwritten = None
        del self._entries[: len(block.entries)], self._withdrawn[: len(block.withdrawn)]
        self._witness.said(block.seen)
        self._last, self._after = _decode_head(row.head), block.until
        self.blocks += 1
        self._replicas.bring_to_others(RecordKind.CALL, row.call_key, row.body)
        return True

    def _next_block(self) -> tuple[Block, EventRow] | None:
        self._digest()
        identity, last = self._identity(), self._last
        entries = tuple(self._entries[:BLOCK_EVENTS])
        withdrawn = tuple(self._withdrawn[:BLOCK_EVENTS])
        wanted = entries or withdrawn or self._witness.calls_for_a_block
        if identity.key is None or not wanted:
            return None
        block = Block(
            node_id=identity.node_id,
            node=identity.name,
            chain=last.chain,
            number=last.number + 1,
            previous=last.head,
            after=self._after,
            until=self._tick(),
            entries=entries,
            withdrawn=withdrawn,
            seen=self._witness.news(),
        )
        body = chain.encode(block)
        time_us = self._now_ms() * 1000
        event = chain.as_event(block, body, identity.key, identity.certificate, time_us)
        head = Head(chain=last.chain, number=block.number, head=chain.head(body))
        key = key_of(RecordKind.CALL, event.call_id)
        return block, event_row(key, event, call.encode(event), head=chain.encode(head))
