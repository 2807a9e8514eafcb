"""Quorum reads with read repair.

In: a key and how its copies merge. Out: the merged record, and who holds it. Counterpart:
`replica.py` on the replicas.

R replicas that have the record end a read. That nobody has it is believed only when all live
replicas were asked: a replica that has just taken over may not have it yet. A question that is not
answered within HEDGE_S is asked of the next replica too.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from overlay.base.errors import UnavailableError
from overlay.links.network import Transport
from overlay.links.peer_messages import Fetch, Fetched, Reply, Store
from overlay.observe.figures import Figures, total
from overlay.observe.part import Part
from overlay.records.names import RecordKind
from overlay.records.node_info import NodeInfo
from overlay.replication.placement import Placement
from overlay.replication.replica import Replica

HEDGE_S = 0.02

R = TypeVar("R")


class Found(msgspec.Struct, Generic[R], kw_only=True):
    """What a read brought."""

    record: R
    replicas: tuple[str, ...]
    """Names of the nodes that hold it."""
    complete: bool
    """Enough replicas answered for the quorum."""
    lease_ms: int
    """For how long changes will be pushed; 0 when a replica had no room for the lease."""
    granters: tuple[bytes, ...] = ()
    """Ids of the nodes that will push them."""
    answered: int = 0
    """How many replicas did."""


class Reader(Part):
    """Reads of this node."""

    def __init__(
        self,
        own_id: bytes,
        placement: Placement,
        replica: Replica,
        transport: Transport,
        read_quorum: int,
    ) -> None:
        self._own_id = own_id
        self._placement = placement
        self._replica = replica
        self._transport = transport
        self._quorum = read_quorum
        self.repairs = 0

    def figures(self) -> Figures:
        return (total("sipfarm_read_repairs", "Stale copies found by reads", lambda: self.repairs),)

    async def read(
        self,
        kind: int,
        key: bytes,
        merge: Callable[[list[bytes]], R],
        bodies_of: Callable[[R], list[bytes]],
        timeout_s: float,
        lease_ms: int = 0,
        copies_wanted: int = 0,
        genuine: Callable[[bytes], bool] | None = None,
    ) -> Found[R]:
        """The record under `key`, merged from R copies.

        `merge` makes a record of the bodies of all copies; `bodies_of` encodes it again, to tell
        who has less. `copies_wanted` asks for more than R. A body that is not `genuine` is taken
        for none. Raises `UnavailableError` when no replica answered.
        """
        nodes = await self._placement.find(key, timeout_s)
        request = Fetch(kind=kind, key=key, lease_ms=lease_ms)
        wanted = copies_wanted or self._quorum
        answers = await self._collect(nodes, request, timeout_s, wanted, genuine)
        if not answers:
            raise UnavailableError("no replica answered")
        copies = {node: answer.bodies for node, answer in answers.items()}
        kept = self._kept(kind, key, genuine)
        record = merge([*kept, *(body for bodies in copies.values() for body in bodies)])
        whole = bodies_of(record)
        for node, bodies in copies.items():
            if whole and set(bodies) != set(whole):
                self._repair(node, kind, key, [b for b in whole if b not in bodies], timeout_s)
        holders = tuple(node.name for node, bodies in copies.items() if bodies)
        return Found(
            record=record,
            replicas=holders,
            complete=len(copies) >= min(self._quorum, len(nodes)),
            lease_ms=min(answer.lease_ms for answer in answers.values()),
            granters=tuple(node.node_id for node in answers),
            answered=len(answers),
        )

    def _kept(
        self, kind: int, key: bytes, genuine: Callable[[bytes], bool] | None
    ) -> tuple[bytes, ...]:
        """This node's own copy of what is in memory, though it need not be a replica: it may have
        been one while others were away, and then nothing older than it may be shown here."""
        body = None if kind == RecordKind.CALL else self._replica.local(kind, key)
        return (body,) if body and (genuine is None or genuine(body)) else ()

    async def _collect(
        self,
        nodes: tuple[NodeInfo, ...],
        request: Fetch,
        timeout_s: float,
        wanted: int,
        genuine: Callable[[bytes], bool] | None,
    ) -> dict[NodeInfo, Fetched]:
        """Copies by node, until `wanted` of them are not empty or everybody was asked."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        waiting = sorted(nodes, key=lambda node: node.node_id != self._own_id)
        asked: dict[asyncio.Future[Reply], NodeInfo] = {}
        answers: dict[NodeInfo, Fetched] = {}

        def found() -> int:
            return sum(1 for answer in answers.values() if answer.bodies)

        while found() < wanted:
            missing = wanted - found() - len(asked)
            for node in waiting[: max(0, missing)]:
                asked[self._ask(node, request, until_s - loop.time())] = node
            waiting = waiting[max(0, missing) :]
            if not asked:
                break
            patience_s = HEDGE_S if waiting else until_s - loop.time()
            done, _ = await asyncio.wait(
                asked, timeout=max(patience_s, 0.0), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                if not waiting or loop.time() >= until_s:
                    break
                node = waiting.pop(0)
                asked[self._ask(node, request, until_s - loop.time())] = node
            for future in [future for future in asked if future in done]:
                node, reply = asked.pop(future), future.result()
                if isinstance(reply, Fetched):
                    answers[node] = _sifted(reply, genuine)
        return answers

    def _ask(self, node: NodeInfo, request: Fetch, timeout_s: float) -> "asyncio.Future[Reply]":
        if node.node_id != self._own_id:
            return self._transport.ask(node.node_id, request, max(timeout_s, 0.0))
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def answer(reply: Reply) -> None:
            if not future.done():
                future.set_result(reply)

        self._replica.fetch(self._own_id, request, answer)
        return future

    def _repair(
        self, node: NodeInfo, kind: int, key: bytes, bodies: list[bytes], timeout_s: float
    ) -> None:
        self.repairs += 1
        for body in bodies:
            store = Store(kind=kind, key=key, body=body)
            if node.node_id == self._own_id:
                self._replica.store(self._own_id, store, lambda _: None)
            else:
                self._transport.request(node.node_id, store, lambda _: None, timeout_s)


def _sifted(answer: Fetched, genuine: Callable[[bytes], bool] | None) -> Fetched:
    if genuine is None or all(genuine(body) for body in answer.bodies):
        return answer
    bodies = tuple(body for body in answer.bodies if genuine(body))
    return msgspec.structs.replace(answer, bodies=bodies)
