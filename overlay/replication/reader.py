"""Quorum reads with read repair.

In: a key and how its copies merge. Out: the merged record, and who holds it. Counterpart:
`replica.py` on the replicas.

R replicas that have the record end a read. That nobody has it is believed only when all live
replicas were asked: a replica that has just taken over may not have it yet. A question that is not
answered within HEDGE_S is asked of the next replica too.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec

from overlay.base.errors import UnavailableError
from overlay.links.peer_protocol import PeerReply
from overlay.links.record_messages import Fetch, Fetched, Store
from overlay.records.names import RecordKind
from overlay.records.node_info import NodeInfo
from overlay.replication.replicas import Replicas

HEDGE_S = 0.02

R = TypeVar("R")


class Merged(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """What several copies of a record come to."""

    record: R
    bodies: list[bytes]
    """The same as it is stored: what a replica should have; empty if there is nothing."""


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


class Reader:
    """Reads of this node."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self.repairs = 0

    async def read(
        self,
        kind: int,
        key: bytes,
        merge: Callable[[Iterable[bytes]], Merged[R]],
        timeout_s: float,
        lease_ms: int = 0,
        copies_wanted: int = 0,
        genuine: Callable[[bytes], bool] | None = None,
    ) -> Found[R]:
        """The record under `key`, merged from R copies.

        `merge` makes a record of the bodies of all copies, each different one given once. A replica
        that has others than the merged `bodies` is sent those that it lacks. `copies_wanted` asks
        for more than R. A body that is not `genuine` is taken for none. Raises `UnavailableError`
        when no replica answered.
        """
        nodes = await self._replicas.placement.find(key, timeout_s)
        request = Fetch(kind=kind, key=key, lease_ms=lease_ms)
        wanted = copies_wanted or self._replicas.read_quorum
        answers = await self._collect(nodes, request, timeout_s, wanted, genuine)
        if not answers:
            raise UnavailableError("no replica answered")
        copies = {node: answer.bodies for node, answer in answers.items()}
        kept = self._kept(kind, key, genuine)
        # Most copies are the same: each body is looked at once.
        distinct = dict.fromkeys((*kept, *(body for bodies in copies.values() for body in bodies)))
        merged = merge(distinct)
        whole = merged.bodies
        for node, bodies in copies.items():
            if whole and set(bodies) != set(whole):
                self._repair(node, kind, key, [b for b in whole if b not in bodies], timeout_s)
        holders = tuple(node.name for node, bodies in copies.items() if bodies)
        return Found(
            record=merged.record,
            replicas=holders,
            complete=len(copies) >= min(self._replicas.read_quorum, len(nodes)),
            lease_ms=min(answer.lease_ms for answer in answers.values()),
            granters=tuple(node.node_id for node in answers),
            answered=len(answers),
        )

    def _kept(
        self, kind: int, key: bytes, genuine: Callable[[bytes], bool] | None
    ) -> tuple[bytes, ...]:
        """This node's own copy of what is in memory, though it need not be a replica: it may have
        been one while others were away, and then nothing older than it may be shown here."""
        body = None if kind == RecordKind.CALL else self._replicas.own.local(kind, key)
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
        waiting = sorted(nodes, key=lambda node: node.node_id != self._replicas.own_id)
        asked: dict[asyncio.Future[PeerReply], NodeInfo] = {}
        answers: dict[NodeInfo, Fetched] = {}

        def left_s() -> float:
            return max(until_s - loop.time(), 0.0)

        def found() -> int:
            return sum(1 for answer in answers.values() if answer.bodies)

        while found() < wanted:
            missing = wanted - found() - len(asked)
            for node in waiting[: max(0, missing)]:
                asked[self._replicas.ask(node, request, left_s())] = node
            waiting = waiting[max(0, missing) :]
            if not asked:
                break
            patience_s = HEDGE_S if waiting else left_s()
            done, _ = await asyncio.wait(
                asked, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                if not waiting or loop.time() >= until_s:
                    break
                node = waiting.pop(0)
                asked[self._replicas.ask(node, request, left_s())] = node
            for future in [future for future in asked if future in done]:
                node, reply = asked.pop(future), future.result()
                if isinstance(reply, Fetched):
                    answers[node] = _sifted(reply, genuine)
        return answers

    def _repair(
        self, node: NodeInfo, kind: int, key: bytes, bodies: list[bytes], timeout_s: float
    ) -> None:
        self.repairs += 1
        for body in bodies:
            self._replicas.ask(node, Store(kind=kind, key=key, body=body), timeout_s)


def _sifted(answer: Fetched, genuine: Callable[[bytes], bool] | None) -> Fetched:
    if genuine is None or all(genuine(body) for body in answer.bodies):
        return answer
    bodies = tuple(body for body in answer.bodies if genuine(body))
    return msgspec.structs.replace(answer, bodies=bodies)
