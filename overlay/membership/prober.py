"""Probes one member after the other, and asks other nodes for help if a member does not answer.

In: the members with a link, and requests of nodes that want help. Out: which members answered and
which did not. Counterparts: the same module on every node; `membership.py` draws the conclusions;
`health.py` says how far this node may trust them.

    ping ──answered──► alive
      └─ probe_timeout ─► k others ping it ──one had an answer──► alive
                              └─ probe_timeout ─► missed

If a ping is not answered at once, more pings follow within the timeout, on the link and beside it.
A packet lost on a link holds up all that follows, for longer than a probe may take. An answer
beside the link proves that the peer lives. It does not prove that the link works.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from overlay.config.sections import OverlaySection
from overlay.links.member_messages import Ping, PingFor
from overlay.links.network import Transport
from overlay.links.peer_protocol import Ack, Failed, PeerReply
from overlay.membership.health import LocalHealth, overslept
from overlay.membership.probe_order import ProbeOrder, Turns

SILENT = "silent"
"""Code of a helper's answer: the helper lives, and the member does not answer it either."""
NACK_SHARE = 0.6
"""Share of probe_timeout_ms after which a helper says so, in time for the node that asked."""
LATE_FACTOR = 10
"""A probe that is answered within so many timeouts still ends a suspicion."""
PINGS = 3
"""Pings of each probe, and of each helper, evenly spread over the time for them."""
MISSES_MAX = 4
"""Probes in a row without even a late answer after which a link is given up. Other nodes reach the
peer then, and this node's requests do not."""


@dataclass(kw_only=True)
class _Probe:
    """A probe that is under way."""

    node_id: bytes
    wait_s: float
    """Time to wait for an answer, and once more for an answer to the helpers."""
    alone: bool
    due_s: float = 0.0
    """When the timer is set to fire."""
    pings: int = 0
    failed: bool = False
    """Whether one of its pings was given up."""
    asked: int = 0
    """The number of helpers that were asked."""
    nacks: int = 0
    timer: asyncio.TimerHandle | None = field(default=None)


class Prober:
    """The probes of one node."""

    def __init__(
        self,
        settings: OverlaySection,
        transport: Transport,
        chance: random.Random,
        turns: Turns,
        health: LocalHealth,
        linked: Callable[[], list[bytes]],
        answered: Callable[[bytes], None],
        missed: Callable[[bytes], None],
    ) -> None:
        self._timeout_s = settings.probe_timeout_ms / 1000
        self._helpers = settings.probe_helpers
        self._transport = transport
        self._chance = chance
        self._health = health
        self._linked = linked
        self._tell_answered = answered
        self._tell_missed = missed
        self._turns = turns
        self._order = ProbeOrder(chance)
        self._under_way: dict[bytes, _Probe] = {}
        self._misses: dict[bytes, int] = {}
        self._loop = asyncio.get_running_loop()

    def next(self, turn: int | None) -> None:
        """Probe the member of this turn; if `turn` is None, a random one."""
        linked = self._linked()
        node_id = self._order.next(linked) if turn is None else self._turns.whom(turn, linked)
        if node_id is not None:
            self.probe(node_id, alone=False)

    def probe(self, node_id: bytes, *, alone: bool) -> None:
        """Probe this member. `alone`: without helpers, as all other nodes probe it just now."""
        if node_id in self._under_way:
            return
        wait_s = self._timeout_s * self._health.factor
        self._under_way[node_id] = probe = _Probe(node_id=node_id, wait_s=wait_s, alone=alone)
        self._ping(probe)

    def help(self, target: bytes, reply: Callable[[PeerReply], None]) -> None:
        """Ping `target` for another node, and answer that node in time."""
        step_s, late_s = self._timeout_s * NACK_SHARE / PINGS, self._timeout_s * LATE_FACTOR
        timer: asyncio.TimerHandle | None = None
        pings, asked = 0, True

        def ponged(message: PeerReply) -> None:
            if isinstance(message, Ack):
                lives()

        def lives() -> None:
            self._tell_answered(target)
            answer(Ack())

        def answer(message: PeerReply) -> None:
            nonlocal asked
            if asked:
                asked = False
                if timer is not None:
                    timer.cancel()
                reply(message)

        def ping() -> None:
            nonlocal timer, pings
            if pings == PINGS:
                answer(Failed(code=SILENT, reason="no answer here either"))
                return
            pings += 1
            timer = self._loop.call_later(step_s, ping)
            self._transport.knock(target, lives, late_s)
            self._transport.request(target, Ping(), ponged, late_s)

        ping()

    def forget(self) -> None:
        """Drop the probes under way: this node did not run, so it could not hear the answers."""
        for probe in list(self._under_way.values()):
            self._done(probe)

    def _ping(self, probe: _Probe) -> None:
        """Ping the member. If it does not answer, the next step follows."""
        probe.pings += 1
        step_s = probe.wait_s / PINGS
        probe.due_s = self._loop.time() + step_s
        probe.timer = self._loop.call_later(step_s, self._unanswered, probe)
        late_s = probe.wait_s * LATE_FACTOR
        if probe.alone or probe.pings > 1:
            self._transport.knock(probe.node_id, lambda: self._lives(probe), late_s)
        self._transport.request(
            probe.node_id, Ping(), lambda reply: self._ponged(probe, reply), late_s
        )

    def _unanswered(self, probe: _Probe) -> None:
        if self._slept(probe):
            return
        if probe.pings == 2 * PINGS or (probe.alone and probe.pings == PINGS):
            self._end(probe)
            return
        if probe.pings == PINGS:
            self._ask_helpers(probe)
        self._ping(probe)

    def _ponged(self, probe: _Probe, reply: PeerReply) -> None:
        if isinstance(reply, Ack):
            self._misses.pop(probe.node_id, None)
            self._lives(probe)
        elif not self._transport.linked(probe.node_id):
            self._misses.pop(probe.node_id, None)
        elif not probe.failed:
            probe.failed = True
            misses = self._misses[probe.node_id] = self._misses.get(probe.node_id, 0) + 1
            if misses >= MISSES_MAX:
                self._misses.pop(probe.node_id)
                self._transport.drop(probe.node_id, "it does not answer, though it lives")

    def _lives(self, probe: _Probe) -> None:
        if self._done(probe) and probe.pings <= PINGS:
            self._health.better()
        self._tell_answered(probe.node_id)

    def _ask_helpers(self, probe: _Probe) -> None:
        others = [node_id for node_id in self._linked() if node_id != probe.node_id]
        chosen = self._chance.sample(others, min(self._helpers, len(others)))
        probe.asked = len(chosen)
        for helper in chosen:
            question = PingFor(target=probe.node_id)
            self._transport.request(
                helper,
                question,
                lambda reply: self._helped(probe, reply),
                probe.wait_s * LATE_FACTOR,
            )

    def _helped(self, probe: _Probe, reply: PeerReply) -> None:
        if isinstance(reply, Ack):
            if self._done(probe):
                self._tell_answered(probe.node_id)
        elif isinstance(reply, Failed) and reply.code == SILENT:
            probe.nacks += 1

    def _end(self, probe: _Probe) -> None:
        if not self._done(probe):
            return
        if probe.asked and not probe.nacks:
            self._health.worse()
        self._tell_missed(probe.node_id)

    def _slept(self, probe: _Probe) -> bool:
        if not overslept(probe.due_s, self._loop.time(), self._timeout_s):
            return False
        self._health.worse()
        self._done(probe)
        return True

    def _done(self, probe: _Probe) -> bool:
        """End this probe; False if it has ended before."""
        if probe.timer is not None:
            probe.timer.cancel()
        if self._under_way.get(probe.node_id) is not probe:
            return False
        del self._under_way[probe.node_id]
        return True
