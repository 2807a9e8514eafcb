"""What the control socket can do, without the socket.

In: decoded requests. Out: answers. Counterparts: `server.py` reads and writes the frames; the
classes of `overlay.replication` do the work.
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from overlay.base import limit_hits
from overlay.base.errors import OutdatedError, ProtocolError, UnavailableError
from overlay.base.limits import HEADER_CHARS_MAX
from overlay.billing import door
from overlay.cache.hot import HotRecords
from overlay.config.config import Config
from overlay.control import control_protocol, operator_messages, proxy_messages
from overlay.control.control_protocol import ControlAnswer, ControlRequest, Refused
from overlay.control.farm_wide import FarmWide
from overlay.control.lockouts import Lockouts
from overlay.control.proxy_messages import Located, Written
from overlay.enrollment.revoker import Revoker
from overlay.gateways.watching import Gateways
from overlay.links.farm_messages import Lockout
from overlay.maintenance.maintenance import Maintenance
from overlay.observe.metrics import Metrics
from overlay.records import settings as settings_record
from overlay.records.assemble import assemble
from overlay.records.call import Level
from overlay.records.claim import Attempt
from overlay.records.draining import DrainPhase, DrainWish
from overlay.records.names import RecordKind, key_of
from overlay.records.refusal import Refusal
from overlay.records.register import ContactChange, RegisterRequest, RegisterResult
from overlay.records.routing import targets_of
from overlay.records.targets import Reach
from overlay.replication.claims import Claims
from overlay.replication.drain import Drainer
from overlay.replication.events import EventWriter
from overlay.replication.registrations import Registrations
from overlay.replication.settings_keeper import SettingsKeeper
from overlay.replication.subscribers import SubscriberDirectory

log = logging.getLogger(__name__)

Answer = Callable[[ControlAnswer], None]


class Service:
    """The requests of one node's proxies and CLI."""

    def __init__(
        self,
        config: Config,
        hot: HotRecords,
        registrations: Registrations,
        events: EventWriter,
        subscribers: SubscriberDirectory,
        farm_wide: FarmWide,
        revoker: Revoker,
        settings: SettingsKeeper,
        gateways: Gateways,
        metrics: Metrics,
        now_ms: Callable[[], int],
        leave: Callable[[], None],
        withdraw: Callable[[], None],
        drain: Drainer,
        maintenance: Maintenance,
        lockouts: Lockouts,
        claims: Claims,
    ) -> None:
        self._config = config
        self._hot = hot
        self._registrations = registrations
        self._events = events
        self._subscribers = subscribers
        self._farm_wide = farm_wide
        self._revoker = revoker
        self._settings = settings
        self._gateways = gateways
        self._metrics = metrics
        self._now_ms = now_ms
        self._leave = leave
        self._withdraw = withdraw
        self._drain = drain
        self._maintenance = maintenance
        self._lockouts = lockouts
        self._claims = claims
        self._loop = asyncio.get_running_loop()
        self._locating: dict[str, asyncio.Task[Located]] = {}

    # On the path of every message: no tasks.

    def located(self, request: proxy_messages.Locate) -> Located | None:
        """The answer from what is under a lease; None when the overlay must be asked."""
        targets = self._hot.targets(key_of(RecordKind.REGISTRATION, request.aor))
        return Located(id=0, reach=Reach.FOUND, targets=targets) if targets else None

    def register(self, request: proxy_messages.Register, deadline_s: float, answer: Answer) -> None:
        """A REGISTER."""
        longest = max(
            (len(text) for c in request.contacts for text in (c.uri, c.instance)), default=0
        )
        if max(longest, len(request.call_id), len(request.aor)) > HEADER_CHARS_MAX:
            limit_hits.hit("HEADER_CHARS_MAX")
            answer(Refused(id=0, code="too-large", reason="a field is too long"))
            return
        moving = self._drain.phase is not DrainPhase.SERVING

        def done(result: RegisterResult | Refusal) -> None:
            if isinstance(result, Refusal):
                answer(_refused(result))
                return
            answer(
                proxy_messages.Registered(
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

    def write_event(
        self, request: proxy_messages.WriteEvent, deadline_s: float, answer: Answer
    ) -> None:
        """A call event."""
        event = door.taken(request.event, self._now_ms() * 1000)
        if isinstance(event, Refusal):
            self._metrics.events.inc(request.event.kind.name, "refused")
            answer(_refused(event))
            return
        kind = event.kind.name

        def done(outcome: Level | Refusal) -> None:
            if isinstance(outcome, Refusal):
                self._metrics.events.inc(kind, "refused")
                answer(_refused(outcome))
            else:
                self._metrics.events.inc(kind, outcome)
                answer(Written(id=0, level=outcome))

        self._events.write(event, deadline_s, done)

    # Everything else.

    async def answer(self, request: ControlRequest, deadline_s: float) -> ControlAnswer:
        """The answer; raises `SipfarmError`s that say why there is none."""
        if isinstance(request, proxy_messages.Locate):
            return await self._locate(request.aor, deadline_s)
        if isinstance(request, proxy_messages.Authenticate):
            if locked_s := self._lockouts.left_s(request.aor, request.address):
                return proxy_messages.Secrets(id=0, ha1="", ha1_sha256="", locked_s=locked_s)
            record = await self._subscribers.get(request.aor, deadline_s)
            if record is None:
                return proxy_messages.Secrets(id=0, ha1="", ha1_sha256="")
            return proxy_messages.Secrets(
                id=0, ha1=record.ha1, ha1_sha256=record.ha1_sha256, policy=record.policy
            )
        if isinstance(request, proxy_messages.ClaimCall):
            decided = await self._claims.claim(_attempt(request), request.calls_max, deadline_s)
            return proxy_messages.CallClaimed(id=0, granted=decided.granted, calls=decided.calls)
        if isinstance(request, proxy_messages.ReleaseCall):
            self._claims.release(_attempt(request))
            return control_protocol.Done(id=0)
        if isinstance(request, operator_messages.GetStatus):
            nodes = await self._farm_wide.status(deadline_s)
            return operator_messages.Status(id=0, farm=self._config.farm.name, nodes=nodes)
        if isinstance(request, operator_messages.GetLocation):
            return await self._location(request.aor, deadline_s)
        if isinstance(request, operator_messages.ListCalls):
            return await self._farm_wide.calls(request, deadline_s)
        if isinstance(request, operator_messages.ListCopies):
            return await self._farm_wide.copies(request, deadline_s)
        if isinstance(request, operator_messages.ShowCall):
            found = await self._events.read(request.call_id, deadline_s)
            return operator_messages.Calls(
                id=0, calls=tuple(assemble(found.record, found.replicas))
            )
        if isinstance(request, operator_messages.PutSubscriber):
            return await self._put_subscriber(request, deadline_s)
        if isinstance(request, operator_messages.GetSubscriber):
            latest = await self._subscribers.latest(request.aor, deadline_s)
            if latest is None:
                return operator_messages.SubscriberInForce(id=0)
            return operator_messages.SubscriberInForce(
                id=0,
                version=latest.version,
                removed=latest.removed,
                record=None if latest.removed else latest,
            )
        if isinstance(request, operator_messages.ListSubscribers):
            return await self._farm_wide.subscribers(request, deadline_s)
        if isinstance(request, operator_messages.PutRevocations):
            newer = await self._revoker.take(request.body)
            count = len(self._revoker.current.node_ids)
            return control_protocol.Done(
                id=0,
                detail=f"{'now' if newer else 'already'} in force: {count} nodes are revoked",
            )
        if isinstance(request, operator_messages.GetSettings):
            return operator_messages.SettingsInForce(
                id=0, body=settings_record.encode(self._settings.current)
            )
        if isinstance(request, operator_messages.AskGateways):
            said = await self._gateways.test(request.name)
            return operator_messages.GatewaysSaid(id=0, node=self._config.node.name, gateways=said)
        if isinstance(request, operator_messages.PutSettings):
            if not await self._settings.take(request.body):
                raise OutdatedError("later settings are in force")
            return control_protocol.Done(id=0, detail="in force")
        if isinstance(request, operator_messages.Leave):
            self._loop.call_soon(self._leave)
            return control_protocol.Done(id=0, detail="leaving")
        if isinstance(request, operator_messages.Withdraw):
            self._withdraw()
            return control_protocol.Done(id=0, detail="out of DNS")
        if isinstance(request, proxy_messages.LoginFailed):
            return await self._login_failed(request, deadline_s)
        if isinstance(request, operator_messages.ListLockouts):
            locked = (
                operator_messages.LockedOut(aor=aor, address=address, left_s=left_s)
                for (aor, address), left_s in self._lockouts.all()
            )
            return operator_messages.LockoutsAre(id=0, lockouts=tuple(locked))
        if isinstance(request, operator_messages.EndLockout):
            self._lockouts.learn((request.aor, request.address), 0)
            told = Lockout(aor=request.aor, address=request.address, seconds=0)
            heard = await self._farm_wide.tell_all(told, deadline_s)
            return control_protocol.Done(id=0, detail=f"ended here and on {heard} other nodes")
        if isinstance(request, operator_messages.Drain):
            return await self._drained(request.wish, deadline_s)
        if isinstance(request, operator_messages.OkToStop):
            against = await self._maintenance.ok_to_stop(request.node, deadline_s)
            if isinstance(against, Refusal):
                return _refused(against)
            return operator_messages.StopAdvice(
                id=0, node=request.node, ok=not against, reasons=against
            )
        raise ProtocolError(f"{type(request).__name__} cannot be asked this way")

    def _shortened(self, contacts: tuple[ContactChange, ...]) -> tuple[ContactChange, ...]:
        """A phone that registers at a node that drains is to come again soon, elsewhere."""
        shortest_s = self._config.proxy.expires_min_s
        return tuple(
            msgspec.structs.replace(contact, expires_s=min(contact.expires_s, shortest_s))
            for contact in contacts
        )

    async def _login_failed(
        self, request: proxy_messages.LoginFailed, deadline_s: float
    ) -> control_protocol.Done:
        place = self._lockouts.failed(request.aor, request.address)
        if place is not None:
            who, address = place
            seconds = self._config.proxy.lockout_s
            log.warning("%s is locked out from %s for %d s", who or "everybody", address, seconds)
            told = Lockout(aor=who, address=address, seconds=seconds)
            await self._farm_wide.tell_all(told, deadline_s)
        return control_protocol.Done(id=0)

    async def _drained(self, wish: DrainWish, deadline_s: float) -> operator_messages.Drained:
        if wish is DrainWish.LOOK:
            state = self._drain.state()
        elif wish is DrainWish.END:
            state = await self._maintenance.end()
        else:
            forced = wish is DrainWish.BEGIN_FORCED
            state = await self._maintenance.begin(deadline_s, forced=forced)
        return operator_messages.Drained(id=0, **msgspec.structs.asdict(state))

    async def _locate(self, aor: str, deadline_s: float) -> Located:
        """A read from the overlay; one at a time for an address-of-record, however many wait."""
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

    async def _location(self, aor: str, deadline_s: float) -> operator_messages.Location:
        began_s = self._loop.time()
        replicas = self._config.overlay.replicas
        found = await self._registrations.read(aor, deadline_s, copies_wanted=replicas)
        elapsed_us = int((self._loop.time() - began_s) * 1e6)
        reach = Reach.FOUND
        if not targets_of(found.record, self._now_ms(), self._hot.lost()):
            try:
                known = await self._subscribers.get(aor, deadline_s)
            except UnavailableError:
                known = None
            reach = Reach.OFFLINE if known else Reach.UNKNOWN
        return operator_messages.Location(
            id=0,
            aor=aor,
            reach=reach,
            bindings=found.record,
            replicas=found.replicas,
            elapsed_us=elapsed_us,
            complete=found.answered >= self._config.overlay.read_quorum,
        )

    async def _put_subscriber(
        self, request: operator_messages.PutSubscriber, deadline_s: float
    ) -> control_protocol.Done:
        record = request.record
        user, _, domain = record.aor.rpartition("@")
        if not user or not domain or len(record.aor) > HEADER_CHARS_MAX:
            raise ProtocolError(f"{record.aor!r} is not user@domain")
        stored = await self._subscribers.put(record, deadline_s)
        return control_protocol.Done(id=0, detail=f"stored on {stored} nodes")


def _refused(refusal: Refusal) -> Refused:
    return Refused(id=0, code=refusal.code, reason=refusal.reason)


def _attempt(request: proxy_messages.ClaimCall | proxy_messages.ReleaseCall) -> Attempt:
    return Attempt(
        aor=request.aor,
        call_id=request.call_id,
        from_tag=request.from_tag,
        cseq=request.cseq,
    )
