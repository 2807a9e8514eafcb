"""Brings records to the replicas that their quorum did not need, many records in one frame.

In: records that W replicas hold. Out: `StoreMany` to the other replicas, every PAUSE_S.
Counterpart: `replica.store_many`. Nothing depends on the arrival of a batch: if it is lost, repair
finds the missing records.
"""

import asyncio

from overlay.base.limits import LINK_FRAME_BYTES_MAX
from overlay.links.network import Transport
from overlay.links.record_messages import Store, StoreMany
from overlay.observe.part import Part

PAUSE_S = 0.05
"""How long a record waits for others in the same batch."""
RECORDS_PER_FRAME_MAX = 256
BYTES_PER_FRAME_MAX = LINK_FRAME_BYTES_MAX // 2
TIMEOUT_S = 2.0


class Spreader(Part):
    """The batches of one node: one for each peer and kind of record."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._pending: dict[tuple[bytes, int], list[tuple[bytes, bytes]]] = {}
        self._bytes: dict[tuple[bytes, int], int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def later(self, node_id: bytes, store: Store) -> None:
        """Send this record with the next batch."""
        where = (node_id, store.kind)
        size = self._bytes.get(where, 0) + len(store.body)
        if size > BYTES_PER_FRAME_MAX and where in self._pending:
            self._send(where)
            size = len(store.body)
        self._pending.setdefault(where, []).append((store.key, store.body))
        self._bytes[where] = size
        if len(self._pending[where]) >= RECORDS_PER_FRAME_MAX:
            self._send(where)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PAUSE_S, self.flush)

    async def stop(self) -> None:
        """Send the records that still wait."""
        self.flush()

    def flush(self) -> None:
        """Send all waiting records now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for peer_and_kind in list(self._pending):
            self._send(peer_and_kind)

    def _send(self, peer_and_kind: tuple[bytes, int]) -> None:
        node_id, kind = peer_and_kind
        records = tuple(self._pending.pop(peer_and_kind))
        del self._bytes[peer_and_kind]
        message = StoreMany(kind=kind, records=records)
        self._transport.request(node_id, message, lambda _: None, TIMEOUT_S)
