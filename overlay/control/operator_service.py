"""Answers the requests that an operator's commands send to a node.

In: the requests of `operator_messages.py`. Out: their answers, for the node or for the farm.
Counterparts: `service.py` hands the requests on; `farm_wide.py` asks every node.
"""

import asyncio
from collections.abc import Callable

import msgspec

from overlay.base.errors import OutdatedError, ProtocolError, UnavailableError
from overlay.base.limits import HEADER_CHARS_MAX
from overlay.cache.hot import HotRecords
from overlay.config.config import Config
from overlay.control.answering import LaterByKind, refused
from overlay.control.control_protocol import Done, Refused
from overlay.control.farm_wide import FarmWide
from overlay.control.lockouts import Lockouts
from overlay.control.operator_messages import (
    AskGateways,
    Calls,
    Drain,
    Drained,
    EndLockout,
    GatewaysSaid,
    GetLocation,
    GetSettings,
    GetStatus,
    GetSubscriber,
    Leave,
    ListCalls,
    ListCopies,
    ListLockouts,
    ListSubscribers,
    Location,
    LockedOut,
    LockoutsAre,
    OkToStop,
    PutRevocations,
    PutSettings,
    PutSubscriber,
    SettingsInForce,
    ShowCall,
    Status,
    StopAdvice,
    SubscriberInForce,
    Withdraw,
)
from overlay.enrollment.revoker import Revoker
from overlay.gateways.watching import Gateways
from overlay.links.farm_messages import Lockout
from overlay.maintenance.maintenance import Maintenance
from overlay.records import settings as settings_record
from overlay.records.assemble import assemble
from overlay.records.draining import DrainWish
from overlay.records.refusal import Refusal
from overlay.records.routing import targets_of
from overlay.records.targets import Reach
from overlay.replication import drain as replication_drain
from overlay.replication.events import EventWriter
from overlay.replication.registrations import Registrations
from overlay.replication.settings_keeper import SettingsKeeper
from overlay.replication.subscribers import SubscriberDirectory


class OperatorService:
    """Answers the requests of one node's CLI."""

    def __init__(
        self,
        *,
        config: Config,
        hot: HotRecords,
        registrations: Registrations,
        events: EventWriter,
        subscribers: SubscriberDirectory,
        farm_wide: FarmWide,
        revoker: Revoker,
        settings: SettingsKeeper,
        gateways: Gateways,
        now_ms: Callable[[], int],
        leave: Callable[[], None],
        withdraw: Callable[[], None],
        drain: replication_drain.Drainer,
        maintenance: Maintenance,
        lockouts: Lockouts,
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
        self._now_ms = now_ms
        self._leave_farm = leave
        self._withdraw_kamailio = withdraw
        self._drain = drain
        self._maintenance = maintenance
        self._lockouts = lockouts
        self._loop = asyncio.get_running_loop()
        self.later: LaterByKind = {
            GetStatus: self._status,
            GetLocation: self._location,
            ListCalls: farm_wide.calls,
            ListCopies: farm_wide.copies,
            ShowCall: self._call,
            PutSubscriber: self._put_subscriber,
            GetSubscriber: self._subscriber,
            ListSubscribers: farm_wide.subscribers,
            PutRevocations: self._put_revocations,
            GetSettings: self._settings_in_force,
            PutSettings: self._put_settings,
            AskGateways: self._ask_gateways,
            ListLockouts: self._list_lockouts,
            EndLockout: self._end_lockout,
            Leave: self._leave,
            Withdraw: self._withdraw,
            Drain: self._drained,
            OkToStop: self._ok_to_stop,
        }

    # Requests that read.

    async def _status(self, request: GetStatus, deadline_s: float) -> Status:
        nodes = await self._farm_wide.status(deadline_s)
        return Status(id=0, farm=self._config.farm.name, nodes=nodes)

    async def _location(self, request: GetLocation, deadline_s: float) -> Location:
        aor = request.aor
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
        return Location(
            id=0,
            aor=aor,
            reach=reach,
            bindings=found.record,
            replicas=found.replicas,
            elapsed_us=elapsed_us,
            complete=found.answered >= self._config.overlay.read_quorum,
        )

    async def _call(self, request: ShowCall, deadline_s: float) -> Calls:
        found = await self._events.read(request.call_id, deadline_s)
        return Calls(id=0, calls=tuple(assemble(found.record, found.replicas)))

    async def _subscriber(self, request: GetSubscriber, deadline_s: float) -> SubscriberInForce:
        latest = await self._subscribers.latest(request.aor, deadline_s)
        if latest is None:
            return SubscriberInForce(id=0)
        return SubscriberInForce(
            id=0,
            version=latest.version,
            removed=latest.removed,
            record=None if latest.removed else latest,
        )

    async def _settings_in_force(self, request: GetSettings, deadline_s: float) -> SettingsInForce:
        return SettingsInForce(id=0, body=settings_record.encode(self._settings.current))

    async def _ask_gateways(self, request: AskGateways, deadline_s: float) -> GatewaysSaid:
        said = await self._gateways.test(request.name)
        return GatewaysSaid(id=0, node=self._config.node.name, gateways=said)

    async def _list_lockouts(self, request: ListLockouts, deadline_s: float) -> LockoutsAre:
        locked = (
            LockedOut(aor=aor, address=address, left_s=left_s)
            for (aor, address), left_s in self._lockouts.all()
        )
        return LockoutsAre(id=0, lockouts=tuple(locked))

    async def _ok_to_stop(self, request: OkToStop, deadline_s: float) -> StopAdvice | Refused:
        against = await self._maintenance.ok_to_stop(request.node, deadline_s)
        if isinstance(against, Refusal):
            return refused(against)
        return StopAdvice(id=0, node=request.node, ok=not against, reasons=against)

    # Requests that change something.

    async def _put_subscriber(self, request: PutSubscriber, deadline_s: float) -> Done:
        record = request.record
        user, _, domain = record.aor.rpartition("@")
        if not user or not domain or len(record.aor) > HEADER_CHARS_MAX:
            raise ProtocolError(f"{record.aor!r} is not user@domain")
        stored = await self._subscribers.put(record, deadline_s)
        return Done(id=0, detail=f"stored on {stored} nodes")

    async def _put_revocations(self, request: PutRevocations, deadline_s: float) -> Done:
        newer = await self._revoker.take(request.body)
        count = len(self._revoker.current.node_ids)
        state = "now" if newer else "already"
        return Done(id=0, detail=f"{state} in force: {count} nodes are revoked")

    async def _put_settings(self, request: PutSettings, deadline_s: float) -> Done:
        if not await self._settings.take(request.body):
            raise OutdatedError("later settings are in force")
        return Done(id=0, detail="in force")

    async def _end_lockout(self, request: EndLockout, deadline_s: float) -> Done:
        self._lockouts.learn((request.aor, request.address), 0)
        told = Lockout(aor=request.aor, address=request.address, seconds=0)
        heard = await self._farm_wide.tell_all(told, deadline_s)
        return Done(id=0, detail=f"ended here and on {heard} other nodes")

    async def _leave(self, request: Leave, deadline_s: float) -> Done:
        self._loop.call_soon(self._leave_farm)
        return Done(id=0, detail="leaving")

    async def _withdraw(self, request: Withdraw, deadline_s: float) -> Done:
        self._withdraw_kamailio()
        return Done(id=0, detail="out of DNS")

    async def _drained(self, request: Drain, deadline_s: float) -> Drained:
        if request.wish is DrainWish.LOOK:
            state = self._drain.state()
        elif request.wish is DrainWish.END:
            state = await self._maintenance.end()
        else:
            forced = request.wish is DrainWish.BEGIN_FORCED
            state = await self._maintenance.begin(deadline_s, forced=forced)
        return Drained(id=0, **msgspec.structs.asdict(state))
