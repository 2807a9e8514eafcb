"""Sends a write to its replicas: at once to as many as the quorum needs, to the rest a moment
later.

In: a write that this node coordinates. Out: `Store` to the first replicas, and to the next one when
one fails or is slow. Once the quorum is won, the other replicas get the record in the next batch of
`spreader.py`. So N copies exist a moment after W of them were acknowledged, without the cost of
asking every replica for every write. Counterpart: `quorum_write.py` counts the votes.
"""

import asyncio
from collections.abc import Callable

from overlay.links.peer_protocol import Failed, PeerReply
from overlay.links.record_messages import Store
from overlay.records.node_info import NodeInfo
from overlay.replication.replicas import Replicas

HEDGE_S = 0.02
"""How long a replica may take before the next one is asked too."""


class Fanout:
    """The sending side of one write."""

    __slots__ = (
        "_answered",
        "_finished",
        "_hedge",
        "_replicas",
        "_store",
        "_timeout_s",
        "_waiting",
    )

    def __init__(
        self,
        replicas: Replicas,
        store: Store,
        others: list[NodeInfo],
        answered: Callable[[PeerReply], None],
        timeout_s: float,
    ) -> None:
        self._replicas = replicas
        self._store = store
        self._waiting = others
        self._answered = answered
        self._timeout_s = timeout_s
        self._hedge: asyncio.TimerHandle | None = None
        self._finished = False

    def start(self, at_once: int) -> None:
        """Ask the first `at_once` of the other replicas."""
        for _ in range(at_once):
            self.one_more()
        if self._waiting and at_once:
            loop = asyncio.get_running_loop()
            self._hedge = loop.call_later(HEDGE_S, self.one_more)

    def finish(self) -> None:
        """The quorum is decided: put the record into the next batch for every replica that was not
        asked."""
        self._finished = True
        if self._hedge is not None:
            self._hedge.cancel()
        waiting, self._waiting = self._waiting, []
        for node in waiting:
            self._replicas.spreader.later(node.node_id, self._store)

    def one_more(self) -> None:
        """Ask the next of the other replicas, if there is one."""
        if self._waiting:
            node = self._waiting.pop(0)
            self._replicas.transport.request(
                node.node_id, self._store, self._replied, self._timeout_s
            )

    def _replied(self, reply: PeerReply) -> None:
        if isinstance(reply, Failed) and not self._finished:
            self.one_more()
        self._answered(reply)
