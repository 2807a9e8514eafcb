"""Decides whether a subscriber may have one more call at a time.

In: claims of this node's proxies, before an INVITE goes on, and claims of peers. Out: yes, no, or
that no replica can say. Counterparts: `claim_counts.py` decides; `proxy/routes/claims.py` asks.

    claim ──► nearest replica of the subscriber ──below the limit──► yes, and the others are told
                            └──at the limit──► records of the counted calls ──► which have ended?

The nearest replica decides alone, so its answer needs no quorum. If it dies, the other replicas go
on with the claims that it told them. All claims are in memory, as a limit is not worth the disk's
time. A call that no replica remembers does not count.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

from overlay.base.errors import SipfarmError, UnavailableError
from overlay.base.limits import CLAIMS_PER_FRAME_MAX
from overlay.base.tasks import Background
from overlay.links.link import Answered
from overlay.links.peer_part import Handlers, PeerPart, calls_back, replies, waits
from overlay.links.peer_protocol import Ack, Failed, PeerReply
from overlay.links.record_messages import (
    AskCalls,
    CallsHeard,
    ClaimAt,
    ClaimedAt,
    ReleaseAt,
    ShareClaims,
)
from overlay.observe.figures import gauge, total
from overlay.records import call
from overlay.records import claim as record
from overlay.records.assemble import assemble
from overlay.records.call import CallEvents
from overlay.records.claim import Attempt, Claim, ClaimDecision, Heard
from overlay.records.clock import HybridClock
from overlay.records.names import RecordKind, key_of
from overlay.records.node_info import NodeInfo
from overlay.replication.claim_counts import ClaimCounts
from overlay.replication.replicas import Replicas
from overlay.storage.committer import Committer

log = logging.getLogger(__name__)

LOOK_TIMEOUT_S = 0.05
"""Time for the answers of the calls' replicas. It is less than the time that the first replica of
the subscriber has."""
ANSWER_WITHIN = 0.8
"""Share of the time that a proxy waits. After it, the proxy is told that no replica can say."""
TIMEOUT_S = 2.0
AGAIN_S = 1.0
"""Wait before claims are sent again to a replica that did not take them."""
SETTLE_S = 0.1
"""Wait after a change in the farm, before claims are handed over."""


class Claims(PeerPart):
    """One node's share in counting the calls of subscribers."""

    FIGURES = (
        gauge(
            "sipfarm_claims",
            "Calls of subscribers whose calls are limited that this node keeps in mind",
            lambda claims: len(claims.counts),
        ),
        total(
            "sipfarm_claims_refused_total",
            "Calls above their subscriber's limit, by this node's word",
            lambda claims: claims.refused,
        ),
    )

    def __init__(
        self,
        replicas: Replicas,
        committer: Committer,
        clock: HybridClock,
        now_ms: Callable[[], int],
    ) -> None:
        self._replicas = replicas
        self._committer = committer
        self._clock = clock
        self._now_ms = now_ms
        self._loop = asyncio.get_running_loop()
        self.counts = ClaimCounts()
        self._looking: dict[bytes, asyncio.Task[None]] = {}
        self._under_way = Background()
        self._changed = asyncio.Event()
        self.refused = 0
        """The number of calls that this node refused, as they exceeded their subscriber's limit."""

    async def start(self) -> None:
        """Begin to hand claims over when the farm changes."""
        self._under_way.start(self._keep_handing_over(), name="claims")

    async def stop(self) -> None:
        """End every task."""
        await self._under_way.end()

    def requests(self) -> Handlers:
        return (
            calls_back(ClaimAt, lambda _, asked, answer: self.claimed(asked, answer)),
            replies(ReleaseAt, lambda _, asked: self.released(asked)),
            replies(ShareClaims, lambda _, asked: self.shared(asked)),
            waits(AskCalls, lambda _, asked: self.heard(asked)),
        )

    # What proxies ask.

    async def claim(self, attempt: Attempt, calls_max: int, timeout_s: float) -> ClaimDecision:
        """Whether the call may be made; raises `UnavailableError` if no replica can say."""
        asked = ClaimAt(
            key=key_of(RecordKind.SUBSCRIBER, attempt.aor),
            call=record.claim_id(attempt.call_id, attempt.from_tag),
            call_key=key_of(RecordKind.CALL, attempt.call_id),
            cseq=attempt.cseq,
            calls_max=max(1, calls_max),
        )
        reply = await self._ask_nearest(asked.key, asked, timeout_s * ANSWER_WITHIN)
        if not isinstance(reply, ClaimedAt):
            raise UnavailableError("no replica of the subscriber can say")
        return ClaimDecision(granted=reply.granted, calls=reply.calls)

    def release(self, attempt: Attempt) -> None:
        """The INVITE was refused: release its claim, in the background."""
        asked = ReleaseAt(
            key=key_of(RecordKind.SUBSCRIBER, attempt.aor),
            call=record.claim_id(attempt.call_id, attempt.from_tag),
            cseq=attempt.cseq,
        )

        async def tell() -> None:
            await self._ask_nearest(asked.key, asked, TIMEOUT_S)

        self._under_way.start(tell())

    # What peers ask.

    def claimed(self, request: ClaimAt, answer: Answered) -> None:
        """Decide about a call. The answer is immediate if the counted calls are below the limit."""
        if self._granted(request):
            answer(self._told(request, granted=True))
            return

        async def look() -> None:
            answer(await self._decide(request))

        self._under_way.start(look())

    def released(self, request: ReleaseAt) -> PeerReply:
        """Release the claim of an INVITE that was refused."""
        changed = self._clock.tick()
        claim = self.counts.release(
            request.key, request.call, request.cseq, changed, self._now_ms()
        )
        if claim is not None:
            self._share(request.key, claim)
        return Ack()

    def shared(self, request: ShareClaims) -> PeerReply:
        """Take in claims that another replica decided about."""
        if not all(self._clock.observe(each.changed) for each in request.claims):
            return Failed(code="clock", reason="a claim of tomorrow: whose clock is wrong?")
        self.counts.merge(request.key, request.claims, self._now_ms())
        return Ack()

    async def heard(self, request: AskCalls) -> PeerReply:
        """What this node's records say of these calls; raises `StorageError`."""
        if len(request.calls) > CLAIMS_PER_FRAME_MAX:
            return Failed(code="bad-request", reason=f"more than {CLAIMS_PER_FRAME_MAX} calls")
        keys = {key for _, key in request.calls}
        bodies = await self._committer.read(lambda db: {key: db.events(key) for key in keys})
        events = {key: call.readable(found) for key, found in bodies.items()}
        return CallsHeard(heard=tuple(heard_of(each, events[key]) for each, key in request.calls))

    # Changes in the farm.

    def farm_changed(self) -> None:
        """Hand claims over, as subscribers may have other replicas now."""
        self._changed.set()

    def peer_up(self, node_id: bytes) -> None:
        """Hand claims over to this node: it may have restarted and then remembers none."""
        for key in self.counts.subscribers():
            self.counts.told(key).discard(node_id)
        self._changed.set()

    # inner workings

    def _granted(self, request: ClaimAt) -> bool:
        new = Claim(
            call=request.call,
            call_key=request.call_key,
            changed=self._clock.tick(),
            cseqs=(request.cseq,),
        )
        claim = self.counts.claim(request.key, new, request.calls_max, self._now_ms())
        if claim is not None and claim.changed == new.changed:
            self._share(request.key, claim)
        return claim is not None

    async def _decide(self, request: ClaimAt) -> ClaimedAt:
        await self._look(request.key)
        granted = self._granted(request)
        self.refused += not granted
        return self._told(request, granted=granted)

    def _told(self, request: ClaimAt, *, granted: bool) -> ClaimedAt:
        return ClaimedAt(granted=granted, calls=self.counts.total(request.key))

    async def _look(self, key: bytes) -> None:
        """Find out which of the counted calls have ended. All callers that wait share one look."""
        task = self._looking.get(key)
        if task is None:
            task = self._looking[key] = self._under_way.start(self._look_once(key))
            task.add_done_callback(lambda _: self._looking.pop(key, None))
        await asyncio.shield(task)

    async def _look_once(self, key: bytes) -> None:
        claims = self.counts.to_look_up(key, self._now_ms())
        if not claims:
            return
        of_node: dict[NodeInfo, list[Claim]] = {}
        for each in claims:
            # Ask all replicas of a call: a silent one may be the one that knows of the call's end.
            for node in self._replicas.placement.of(each.call_key):
                of_node.setdefault(node, []).append(each)
        parts = [(node, part) for node, each in of_node.items() for part in _parts(each)]
        found: dict[bytes, Heard | None] = {each.call: None for each in claims}
        answers = await asyncio.gather(*(self._heard_by(node, part) for node, part in parts))
        for (_, part), heard in zip(parts, answers, strict=True):
            for each, said in zip(part, heard, strict=False):
                found[each.call] = record.both(found[each.call] or record.NOTHING, said)
        self.counts.looked_up(key, found, self._now_ms())

    async def _heard_by(self, node: NodeInfo, claims: Sequence[Claim]) -> tuple[Heard, ...]:
        """What a node says of these calls; nothing if it does not answer."""
        asked = AskCalls(calls=tuple((each.call, each.call_key) for each in claims))
        try:
            if node.node_id == self._replicas.own_id:
                reply = await self.heard(asked)
            else:
                reply = await self._replicas.transport.ask(node.node_id, asked, LOOK_TIMEOUT_S)
        except SipfarmError as error:
            log.error("what was heard of calls cannot be read: %s", error)
            return ()
        return reply.heard if isinstance(reply, CallsHeard) else ()

    async def _ask_nearest(
        self, key: bytes, request: ClaimAt | ReleaseAt, timeout_s: float
    ) -> PeerReply:
        """The answer of the nearest replica that gives one, within `timeout_s`."""
        until_s = self._loop.time() + timeout_s
        nodes = await self._replicas.placement.find(key, timeout_s / 2)
        reply: PeerReply = Failed(code="unavailable", reason="no replica")
        for index, node in enumerate(nodes):
            left_s = until_s - self._loop.time()
            if left_s <= 0:
                break
            if node.node_id == self._replicas.own_id:
                return await self._answer_myself(request)
            patience_s = left_s / 2 if index + 1 < len(nodes) else left_s
            reply = await self._replicas.transport.ask(node.node_id, request, patience_s)
            if not isinstance(reply, Failed):
                break
        return reply

    async def _answer_myself(self, request: ClaimAt | ReleaseAt) -> PeerReply:
        if isinstance(request, ReleaseAt):
            return self.released(request)
        if self._granted(request):
            return self._told(request, granted=True)
        return await self._decide(request)

    def _share(self, key: bytes, claim: Claim) -> None:
        message = ShareClaims(key=key, claims=(claim,))
        for node in self._replicas.others(self._replicas.placement.of(key)):
            self._replicas.transport.request(node.node_id, message, lambda _: None, TIMEOUT_S)

    async def _keep_handing_over(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_S)
            self._changed.clear()
            done = [await self._hand_over(key) for key in self.counts.subscribers()]
            if not all(done):
                # A peer may replace a link that has just come up at once, so try again.
                self._loop.call_later(AGAIN_S, self._changed.set)

    async def _hand_over(self, key: bytes) -> bool:
        """Send the subscriber's replicas the claims that they lack; True if all have all claims
        then."""
        nodes = await self._replicas.placement.find(key, TIMEOUT_S)
        others = {node.node_id for node in self._replicas.others(nodes)}
        ask = self._replicas.transport.ask
        told = self.counts.told(key)
        told &= others
        for node_id in others - told:
            claims = self.counts.all(key)
            messages = [ShareClaims(key=key, claims=tuple(part)) for part in _parts(claims)]
            replies = [await ask(node_id, each, TIMEOUT_S) for each in messages]
            if all(isinstance(reply, Ack) or _too_old(reply) for reply in replies):
                told.add(node_id)
        return told >= others


def _too_old(reply: PeerReply) -> bool:
    """Whether the peer's version does not know claims, so that it need not be told again."""
    return isinstance(reply, Failed) and reply.code == "unknown-kind"


def heard_of(claimed: bytes, events: CallEvents) -> Heard:
    """What these events, all of one Call-ID, say of a claimed call."""
    states = [
        each.state
        for each in assemble(events)
        if each.answer_us and record.claim_id(each.call_id, each.from_tag) == claimed
    ]
    return Heard(answered=len(states), ended=len(states) - states.count("open"))


def _parts(claims: Sequence[Claim]) -> Iterator[Sequence[Claim]]:
    for begin in range(0, len(claims), CLAIMS_PER_FRAME_MAX):
        yield claims[begin : begin + CLAIMS_PER_FRAME_MAX]
