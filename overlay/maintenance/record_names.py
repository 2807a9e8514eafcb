"""The names of records of which this node knows the keys.

In: kinds and keys. Out: addresses-of-record and Call-IDs, as far as this node's own copies contain
them. Counterpart: `overlay.replication.drain` names the records that it waits for.

A registration record does not contain its address-of-record. Its name is known where this node also
has the subscriber.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

import msgspec

from overlay.records import call, subscriber
from overlay.records.names import RecordKind, key_of, probe_name
from overlay.replication.replica import Replica

LOOKED_AT_ONCE = 500
"""Subscribers looked at without a pause for other tasks."""
REMEMBERED_MAX = 1_000


class RecordNames:
    """The names of one node's records."""

    def __init__(self, replica: Replica, node_names: Callable[[], Iterable[str]]) -> None:
        self._replica = replica
        self._node_names = node_names
        self._known: dict[tuple[RecordKind, bytes], str] = {}

    async def of(self, records: Sequence[tuple[RecordKind, bytes]]) -> list[str]:
        """The name of each record; an empty text if it cannot be known."""
        if len(self._known) > REMEMBERED_MAX:
            self._known.clear()
        new = [record for record in records if record not in self._known]
        registrations = {key for kind, key in new if kind is RecordKind.REGISTRATION}
        names = await self._registrations(registrations) if registrations else {}
        for kind, key in new:
            if kind is RecordKind.CALL:
                name = await self._call(key)
            elif kind is RecordKind.SUBSCRIBER:
                body = self._replica.subscribers.get(key)
                name = subscriber.decode(body).aor if body else ""
            else:
                name = names.get(key, "")
            self._known[kind, key] = name
        return [self._known[record] for record in records]

    async def _call(self, key: bytes) -> str:
        bodies = await self._replica.committer.read(lambda db: db.events(key, 0))
        try:
            return call.decode(bodies[0]).call_id if bodies else ""
        except (msgspec.MsgspecError, ValueError):
            return ""

    async def _registrations(self, wanted: set[bytes]) -> dict[bytes, str]:
        found = {
            key_of(RecordKind.REGISTRATION, probe_name(name)): f"readiness probe of {name}"
            for name in self._node_names()
        }
        for number, key in enumerate(self._replica.subscribers.keys()):
            if number % LOOKED_AT_ONCE == 0:
                await asyncio.sleep(0)
            body = self._replica.subscribers.get(key)
            if body is not None:
                aor = subscriber.decode(body).aor
                found_key = key_of(RecordKind.REGISTRATION, aor)
                if found_key in wanted:
                    found[found_key] = aor
        return found
