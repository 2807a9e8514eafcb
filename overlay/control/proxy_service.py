"""Answers the requests of a node's proxies.

In: the requests of `proxy_messages.py`. Out: their answers. Counterparts: `service.py` hands the
requests on; the classes of `overlay.replication` do the work.
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from overlay.base import limit_hits
from overlay.base.limits import HEADER_CHARS_MAX
from overlay.billing import admission
from overlay.cache.hot import HotRecords
from overlay.config.config import Config
from overlay.control.answering import LaterByKind, NowByKind, Respond, refused
from overlay.control.control_protocol import Done, Refused
from overlay.control.farm_wide import FarmWide
from overlay.control.lockouts import Lockouts
from overlay.control.proxy_messages import (
    Authenticate,
    CallClaimed,
    ClaimCall,
    Locate,
    Located,
    LoginFailed,
    Register,
    Registered,
    ReleaseCall,
    Secrets,
    WriteEvent,
    Written,
)
from overlay.links.farm_messages import Lockout
from overlay.observe.metrics import Metrics
from overlay.records.call import Level
from overlay.records.claim import Attempt
from overlay.records.draining import DrainPhase
from overlay.records.names import RecordKind, key_of
from overlay.records.refusal import Refusal
from overlay.records.register import ContactChange, RegisterRequest, RegisterResult
from overlay.records.targets import Reach
from overlay.replication.claims import Claims
from overlay.replication.drain import Drainer
from overlay.replication.events import EventWriter
from overlay.replication.registrations import Registrations
from overlay.replication.subscribers import SubscriberDirectory

log = logging.getLogger(__name__)


class ProxyService:
    """Answers the requests of one node's proxies."""

    def __init__(
        self,
        *,
        config: Config,
        hot: HotRecords,
        registrations: Registrations,
        events: EventWriter,
        subscribers: SubscriberDirectory,
        farm_wide: FarmWide,
        metrics: Metrics,
        now_ms: Callable[[], int],
        drain: Drainer,
        lockouts: Lockouts,
        claims: Claims,
    ) -> None:
        self._config = config
        self._hot = hot
        self._registrations = registrations
        self._events = events
        self._subscribers = subscribers
        self._farm_wide = farm_wide
        self._metrics = metrics
        self._now_ms = now_ms
        self._drain = drain
        self._lockouts = lockouts
        self._claims = claims
        self._loop = asyncio.get_running_loop()
        self._locating: dict[str, asyncio.Task[Located]] = {}
        # Every SIP message needs one of these, so they are answered without a task.
        self.now: NowByKind = {
            Locate: self._located,
            Register: self._register,
            WriteEvent: self._write_event,
        }
        self.later: LaterByKind = {
            Locate: self._locate,
            Authenticate: self._authenticate,
            LoginFailed: self._login_failed,
            ClaimCall: self._claim,
            ReleaseCall: self._release,
        }

    def _located(self, request: Locate, deadline_s: float, respond: Respond) -> bool:
        """Answer from a record under a lease; False if the overlay has to be asked."""
        targets = self._hot.targets(key_of(RecordKind.REGISTRATION, request.aor))
        if targets:
            respond(Located(id=0, reach=Reach.FOUND, targets=targets))
        return bool(targets)

    def _register(self, request: Register, deadline_s: float, respond: Respond) -> bool:
        longest = max(
            (len(text) for c in request.contacts for text in (c.uri, c.instance)), default=0
        )
        if max(longest, len(request.call_id), len(request.aor)) > HEADER_CHARS_MAX:
            limit_hits.hit("HEADER_CHARS_MAX")
            respond(Refused(id=0, code="too-large", reason="a field is too long"))
            return True
        moving = self._drain.phase is not DrainPhase.SERVING

        def done(result: RegisterResult | Refusal) -> None:
            if isinstance(result, Refusal):
                respond(refused(result))
                return
            respond(
                Registered(
                    id=0,
                    outcome=result.outcome,
                    bindings=result.bindings,
                    move=moving,
                    weak=result.weak,
                )
            )

        asked = RegisterRequest(
            aor=request.aor,
            call_id=request.call_id,
            cseq=request.cseq,
            contacts=self._shortened(request.contacts) if moving else request.contacts,
            remove_all=request.remove_all,
            path=request.path,
            user_agent=request.user_agent,
            contacts_max=request.contacts_max,
        )
        self._registrations.register(asked, deadline_s, done)
        return True

    def _write_event(self, request: WriteEvent, deadline_s: float, respond: Respond) -> bool:
        event = admission.taken(request.event, self._now_ms() * 1000)
        if isinstance(event, Refusal):
            self._metrics.events.inc(request.event.kind.name, "refused")
            respond(refused(event))
            return True
        kind = event.kind.name

        def done(outcome: Level | Refusal) -> None:
            if isinstance(outcome, Refusal):
                self._metrics.events.inc(kind, "refused")
                respond(refused(outcome))
            else:
                self._metrics.events.inc(kind, outcome)
                respond(Written(id=0, level=outcome))

        self._events.write(event, deadline_s, done)
        return True

    def _shortened(self, contacts: tuple[ContactChange, ...]) -> tuple[ContactChange, ...]:
        """The contacts, with a short time: at a draining node, a phone should come again soon,
        elsewhere."""
        shortest_s = self._config.proxy.expires_min_s
        return tuple(
            msgspec.structs.replace(contact, expires_s=min(contact.expires_s, shortest_s))
            for contact in contacts
        )

    async def _locate(self, request: Locate, deadline_s: float) -> Located:
        """Read from the overlay, once at a time for each address-of-record, however many requests
        wait."""
        aor = request.aor
        task = self._locating.get(aor)
        if task is None:
            task = asyncio.create_task(self._locate_once(aor, deadline_s))
            self._locating[aor] = task
            task.add_done_callback(lambda _: self._locating.pop(aor, None))
        return await asyncio.shield(task)

    async def _locate_once(self, aor: str, deadline_s: float) -> Located:
        key = key_of(RecordKind.REGISTRATION, aor)
        began_s = self._loop.time()
        lease_ms = self._config.overlay.lease_ms
        turn = self._hot.turn
        self._hot.read_begins(key)
        record, until_s = None, began_s
        granters: tuple[bytes, ...] = ()
        try:
            found = await self._registrations.read(aor, deadline_s, lease_ms)
            record, granters = found.record, found.granters
            if found.complete and turn == self._hot.turn:
                until_s = began_s + found.lease_ms / 1000
        finally:
            targets = self._hot.read_ends(key, aor, record, until_s, granters)
        if targets:
            return Located(id=0, reach=Reach.FOUND, targets=targets)
        left_s = max(0.01, deadline_s - (self._loop.time() - began_s))
        known = await self._subscribers.get(aor, left_s)
        return Located(id=0, reach=Reach.OFFLINE if known else Reach.UNKNOWN)

    async def _authenticate(self, request: Authenticate, deadline_s: float) -> Secrets:
        if locked_s := self._lockouts.left_s(request.aor, request.address):
            return Secrets(id=0, ha1="", ha1_sha256="", locked_s=locked_s)
        record = await self._subscribers.get(request.aor, deadline_s)
        if record is None:
            return Secrets(id=0, ha1="", ha1_sha256="")
        return Secrets(id=0, ha1=record.ha1, ha1_sha256=record.ha1_sha256, policy=record.policy)

    async def _login_failed(self, request: LoginFailed, deadline_s: float) -> Done:
        place = self._lockouts.failed(request.aor, request.address)
        if place is not None:
            who, address = place
            seconds = self._config.proxy.lockout_s
            log.warning("%s is locked out from %s for %d s", who or "everybody", address, seconds)
            told = Lockout(aor=who, address=address, seconds=seconds)
            await self._farm_wide.tell_all(told, deadline_s)
        return Done(id=0)

    async def _claim(self, request: ClaimCall, deadline_s: float) -> CallClaimed:
        decided = await self._claims.claim(_attempt(request), request.calls_max, deadline_s)
        return CallClaimed(id=0, granted=decided.granted, calls=decided.calls)

    async def _release(self, request: ReleaseCall, deadline_s: float) -> Done:
        self._claims.release(_attempt(request))
        return Done(id=0)


def _attempt(request: ClaimCall | ReleaseCall) -> Attempt:
    return Attempt(
        aor=request.aor,
        call_id=request.call_id,
        from_tag=request.from_tag,
        cseq=request.cseq,
    )
