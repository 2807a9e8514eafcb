"""Quorum reads with read repair.

In: a key, and how copies of its record merge. Out: the merged record, and the nodes that hold it.
Counterpart: `replica.py` on the replicas.

A read ends when R replicas have returned a copy. Only if all live replicas were asked, the read may
conclude that there is no record: a replica that has just taken over may not have it yet. If a
replica does not answer within HEDGE_S, the next one is asked too.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec

from overlay.base.errors import UnavailableError
from overlay.links.peer_protocol import PeerReply
from overlay.links.record_messages import Fetch, Fetched, Store
from overlay.observe.figures import total
from overlay.observe.part import Part
from overlay.records.names import RecordKind
from overlay.records.node_info import NodeInfo
from overlay.replication.replicas import Replicas

HEDGE_S = 0.02

R = TypeVar("R")


class Merged(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """Several copies of a record, merged into one."""

    record: R
    bodies: list[bytes]
    """The record as it is stored, which every replica should have; empty if there is none."""


class Found(msgspec.Struct, Generic[R], kw_only=True):
    """The result of a read."""

    record: R
    replicas: tuple[str, ...]
    """Names of the nodes that hold the record."""
    complete: bool
    """Whether enough replicas answered for the quorum."""
    lease_ms: int
    """For how long changes will be pushed to this node; 0 if a replica had no room for the
    lease."""
    granters: tuple[bytes, ...] = ()
    """Ids of the nodes that will push changes."""
    answered: int = 0
    """The number of replicas that answered."""


class Reader(Part):
    """The reads of this node."""

    FIGURES = (
        total(
            "sipfarm_read_repairs_total",
            "Stale copies found when records were read",
            lambda reader: reader.repairs,
        ),
    )

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

        `merge` makes a record of the bodies of all copies; each distinct body is passed once. A
        replica whose bodies differ from the merged `bodies` is sent those that it lacks.
        `copies_wanted` asks for more copies than R. A body that is not `genuine` counts as missing.
        Raises `UnavailableError` if no replica answered.
        """
        nodes = await self._replicas.placement.find(key, timeout_s)
        request = Fetch(kind=kind, key=key, lease_ms=lease_ms)
        wanted = copies_wanted or self._replicas.read_quorum
        answers = await self._collect(nodes, request, timeout_s, wanted, genuine)
        if not answers:
            raise UnavailableError("no replica answered")
        copies = {node: answer.bodies for node, answer in answers.items()}
        kept = self._kept(kind, key, genuine)
        # Most copies are the same, so each distinct body is looked at once.
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
        """This node's own copy of a record that is kept in memory, even if the node is no replica.

        It may have been a replica while others were away. Then this node must show nothing older
        than its copy.
        """
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
        """The answers by node, until `wanted` of them hold a copy, or all nodes were asked."""
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
