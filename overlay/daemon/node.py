"""One node of the overlay: its parts, put together.

In: a configuration and an identity. Out: a running node. Counterpart: `daemon.py` gives it a
process; the tests run several in one.
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from overlay.base.errors import SipfarmError, StorageError
from overlay.base.version import VERSION
from overlay.billing.closer import Closer
from overlay.billing.exporter import Exporter
from overlay.billing.ledger import Ledger
from overlay.billing.open_calls import OpenCalls
from overlay.billing.retention import Retention, horizon_us
from overlay.billing.sinks.configured import configured
from overlay.billing.witness import Witness
from overlay.cache.hot import HotRecords
from overlay.config.config import Config
from overlay.control.farm_wide import FarmWide
from overlay.control.local import Local
from overlay.control.lockouts import Lockouts
from overlay.control.operator_service import OperatorService
from overlay.control.proxy_service import ProxyService
from overlay.control.readiness import Readiness
from overlay.control.service import ControlService
from overlay.daemon.node_metrics import watch
from overlay.daemon.parts import Parts
from overlay.daemon.peer_requests import PeerRequests
from overlay.dns import server as dns_server
from overlay.dns.publisher import Publisher
from overlay.dns.purging import Purging
from overlay.dns.zone import ZoneNode, ZoneView
from overlay.enrollment.renewal import Renewal
from overlay.enrollment.revoker import Revoker
from overlay.gateways import ask_gateway
from overlay.gateways.watching import Gateways
from overlay.identity import sip_certificate
from overlay.identity.identity import Identity
from overlay.links.member_claims import next_incarnation
from overlay.links.network import hello_of
from overlay.links.peer_protocol import Hello, PeerReply, PeerRequest
from overlay.maintenance.lease_keeper import LeaseKeeper
from overlay.maintenance.maintenance import Maintenance
from overlay.maintenance.record_names import RecordNames
from overlay.membership import scrape_targets
from overlay.membership.members import Member, State
from overlay.membership.membership import Membership
from overlay.observe.metrics import Metrics
from overlay.records.call import CallEvent
from overlay.records.clock import HybridClock
from overlay.records.node_info import NodeInfo, Traits
from overlay.records.settings import FarmSettings, Shown
from overlay.replication.claims import Claims
from overlay.replication.drain import Drainer
from overlay.replication.events import EventWriter
from overlay.replication.placement import Placement
from overlay.replication.reader import Reader
from overlay.replication.registrations import Registrations
from overlay.replication.repair import Repair
from overlay.replication.replica import Replica
from overlay.replication.replicas import Replicas
from overlay.replication.settings_keeper import SettingsKeeper
from overlay.replication.spreader import Spreader
from overlay.replication.subscribers import SubscriberDirectory
from overlay.replication.vetting import Vetting
from overlay.storage.rows import IncarnationRow, Peers
from overlay.storage.scrubber import Scrubber
from overlay.storage.subscribers import StoredSubscribers

log = logging.getLogger(__name__)


class Node:
    """The overlay's daemon without a process around it."""

    def __init__(self, config: Config, identity: Identity, parts: Parts | None = None) -> None:
        self.config = config
        self.parts = parts or Parts()
        self.identity = identity
        self.metrics = Metrics()
        self.stopped = asyncio.Event()
        self.leaving = False
        self.own = NodeInfo(
            node_id=identity.node_id,
            name=identity.name,
            host=identity.address,
            port=config.overlay.port,
            traits=Traits(
                zone=config.node.zone,
                capacity=config.node.capacity,
                transports=sip_certificate.servable(config),
                address6=config.node.address6,
                software=VERSION,
                metrics=scrape_targets.told_by(config),
            ),
        )
        now_ms = self.parts.now_ms
        self.clock = HybridClock(now_ms)
        self.vetting = Vetting(identity.operator)
        self.lockouts = Lockouts(config.proxy, lambda: now_ms() / 1000)
        self._zone_changed_s = now_ms() // 1000
        self._purging = Purging(config.pdns_control_socket, config.farm.name)
        self._dns: dns_server.DnsServer | None = None
        self.show: Callable[[Shown], None] = lambda shown: None
        """Given what the proxies are to know of the farm's settings."""
        self._names_due = False
        """Somebody came or went since the names of the lost were looked at."""
        self._gone: frozenset[str] = frozenset()

    async def start(self) -> None:
        """Open the files, listen, and begin to look for the farm.

        Raises `StorageError` or `OSError` when a file or an address cannot be had, and
        `IdentityError` when the operator has revoked this node.
        """
        config, own_id, now_ms = self.config, self.own.node_id, self.parts.now_ms
        self.kamailio = self.parts.kamailio(config) if self.parts.kamailio is not None else None
        if self.kamailio is not None:
            # Before anybody hears of this node, so that what it says of itself is right.
            await self.kamailio.first()
            self.own = self._own_now()
        await self._open_storage()
        await self._join_membership()
        await self._start_revoker()
        await self._start_settings()
        self.projection = self.parts.projection(config)
        self.hot = HotRecords(self.projection, now_ms, self.membership.members.lost_names)
        self.open_calls = OpenCalls(
            grace_s=config.billing.close_grace_s, longest_s=config.billing.call_max_s
        )
        self.witness = Witness(own_id, lambda: self.identity.authority, now_ms)
        self._build_replicas()
        self.retention = Retention(self.committer, self._horizon_us)
        self.ledger = Ledger(
            lambda: self.identity,
            self.replicas,
            self.committer,
            self.witness,
            self.clock.tick,
            now_ms,
        )
        self._build_coordinators()
        self.claims = Claims(self.replicas, self.committer, self.clock, now_ms)
        self.repair = Repair(self.replicas, config.overlay.repair_interval_ms / 1000)
        self.exporter = Exporter(
            node=self.own.name,
            sinks=configured(config),
            replicas=self.replicas,
            committer=self.committer,
            tick=self.clock.tick,
            now_ms=now_ms,
            chance=self.parts.chance,
        )
        self.closer = Closer(
            config.billing, self.replicas, self.committer, self.events, self.open_calls, now_ms
        )
        await self.ledger.start(self.incarnation)
        names = RecordNames(self.replica, self._node_names)
        self.drain = Drainer(
            config.overlay,
            self.membership,
            self.repair,
            self.replica,
            self.events,
            names.of,
            self._placement_changed,
        )
        self._build_control()
        self.publisher = Publisher(
            config,
            own_id,
            lambda: (info.node_id for info in self.membership.alive()),
            self.zone,
            self.parts.chance,
        )
        self.renewal = Renewal(config, self.identity, self._renewed, self.parts.chance)
        self.membership.listen(self._member_changed)
        self.membership.listen_to_proxies(self._zone_changed)
        watch(self)
        self.requests = PeerRequests(self)
        await self._listen()
        log.info(
            "node %s (%s) of %s is up", self.own.name, self.own.node_id.hex(), config.farm.name
        )

    async def stop(self) -> None:
        """End everything in order: askers first, then peers, then the disk."""
        if self.kamailio is not None:
            await self.kamailio.stop()
        await self._purging.stop()
        await self.control.stop()
        if self._dns is not None:
            self._dns.close()
            await self._dns.wait_closed()
        await self.closer.stop()
        await self.claims.stop()
        await self.ledger.stop()
        await self.exporter.stop()
        await self.drain.stop()
        await self.lease.stop()
        await self.repair.stop()
        await self.scrubber.stop()
        await self.retention.stop()
        self.spreader.flush()
        await self.events.stop()
        await self.membership.stop()
        await self.discovery.stop()
        await self.revoker.stop()
        await self.settings.stop()
        await self.gateways.stop()
        await self.renewal.stop()
        await self.publisher.stop()
        await self._remember_peers()
        await self.network.stop(left=self.leaving)
        await self.requests.stop()
        await self.projection.close()
        await self.bindings.close()
        await self.committer.close()

    def leave(self) -> None:
        """Stop for good: the peers need not wait for this node."""
        self.leaving = True
        self.stopped.set()

    # What the links tell.

    def peer_up(self, hello: Hello) -> None:
        self.hot.end_leases_of(hello.node.node_id)
        self.membership.peer_up(hello)
        self._compare(hello.node.node_id)
        self.claims.peer_up(hello.node.node_id)
        self.lease.peer_up(hello)

    def peer_down(self, node_id: bytes, reason: str, left: bool) -> None:
        self.hot.end_leases_of(node_id)
        self.membership.peer_down(node_id, reason, left)

    def request_received(
        self, sender: Hello, request: PeerRequest, reply: Callable[[PeerReply], None]
    ) -> None:
        self.requests.answer(sender.node.node_id, request, reply)

    # inner workings

    async def _open_storage(self) -> None:
        self.committer, self.bindings = self.parts.storage(self.config, self.parts.now_ms)
        rows = await self.committer.read(lambda db: db.subscribers())
        self.subscribers = StoredSubscribers(rows)
        self.scrubber = Scrubber(self.bindings, self.subscribers, self.committer)
        self._known = await self.committer.read(lambda db: db.peers())

    async def _join_membership(self) -> None:
        """Links and members, under an incarnation that no run of this node had before."""
        before = await self.committer.read(lambda db: db.incarnation())
        self.incarnation = incarnation = next_incarnation(before, self.parts.now_ms())
        try:
            await self.committer.commit_wait(IncarnationRow(value=incarnation))
        except StorageError as error:
            log.error("the incarnation cannot be stored: %s", error)
        hello = hello_of(self.identity, self.own, incarnation, VERSION)
        self.network = self.parts.network(self.identity, hello)
        self.discovery = self.parts.discovery(self.config)
        self.membership = Membership(
            self.own,
            self.config.overlay,
            self.network,
            self.parts.chance,
            self.discovery.find,
            incarnation,
            self.parts.now_ms,
        )

    def _renewed(self, identity: Identity) -> None:
        self.identity = identity

    async def _start_revoker(self) -> None:
        self.revoker = Revoker(
            self.own.node_id,
            self.identity.operator,
            self.network,
            self.membership.linked,
            self.committer,
            self.stopped.set,
        )
        try:
            await self.revoker.start(self.identity.revoked)
        except SipfarmError:
            await self.bindings.close()
            await self.committer.close()
            raise

    async def _start_settings(self) -> None:
        self.gateways = Gateways(
            lambda gateway: ask_gateway.ask(gateway, self.config), self.parts.chance, self._show
        )
        self.settings = SettingsKeeper(
            self.identity.operator,
            self.network,
            self.membership.linked,
            self.committer,
            self._settings_changed,
        )
        await self.settings.start()
        self.membership.compare_as_well(self._compare)

    def _compare(self, node_id: bytes) -> None:
        """What do we know that this peer does not, and what does it?"""
        self.revoker.compare(node_id)
        self.settings.compare(node_id)

    def _settings_changed(self, settings: FarmSettings) -> None:
        self._farm_settings = settings
        self.gateways.watch(settings)
        self._show()

    def _show(self) -> None:
        gone = tuple(sorted(self._gone))
        self.show(Shown(settings=self._farm_settings, down=self.gateways.down, gone=gone))

    def _build_replicas(self) -> None:
        settings, own_id = self.config.overlay, self.own.node_id
        self.replica = Replica(
            own_id=own_id,
            bindings=self.bindings,
            subscribers=self.subscribers,
            committer=self.committer,
            hot=self.hot,
            transport=self.network,
            now_ms=self.parts.now_ms,
            vetting=self.vetting,
            horizon_us=self._horizon_us,
            event_stored=self._event_stored,
        )
        self.placement = Placement(self.membership, settings.replicas, settings.write_quorum)
        self.spreader = Spreader(self.network)
        self.replicas: Replicas = Replicas(
            own_id=own_id,
            own=self.replica,
            placement=self.placement,
            transport=self.network,
            spreader=self.spreader,
            count=settings.replicas,
            write_quorum=settings.write_quorum,
            read_quorum=settings.read_quorum,
        )

    def _build_coordinators(self) -> None:
        config, replicas = self.config, self.replicas
        self.reader = Reader(replicas)
        self.registrations = Registrations(config.proxy, replicas, self.reader, self.clock)
        self.events = EventWriter(
            self.own.name, replicas, self.reader, self.committer, self.clock, self.ledger
        )
        self.directory = SubscriberDirectory(
            config.overlay.lease_ms, replicas, self.reader, self.hot, self.vetting
        )

    def _build_control(self) -> None:
        kamailio = self.kamailio
        self.readiness = Readiness(
            self.own.name,
            self.incarnation,
            self.registrations,
            (lambda: kamailio.away) if kamailio is not None else lambda: "",
        )
        self.lease = LeaseKeeper(self.membership, self.network, self.readiness.check)
        self.local = Local(
            self.own,
            self.membership,
            self.replica,
            self.events,
            self.projection,
            self.readiness,
            self.lease.told,
            (lambda: kamailio.away) if kamailio is not None else None,
        )
        farm_wide = FarmWide(self.local, self.membership, self.network, self.vetting)
        maintenance = Maintenance(
            self.own.name,
            self.config.overlay.write_quorum,
            self.drain,
            self.lease,
            farm_wide.status,
            lambda: self.revoker.current.node_ids,
        )
        proxies = ProxyService(
            config=self.config,
            hot=self.hot,
            registrations=self.registrations,
            events=self.events,
            subscribers=self.directory,
            farm_wide=farm_wide,
            metrics=self.metrics,
            now_ms=self.parts.now_ms,
            drain=self.drain,
            lockouts=self.lockouts,
            claims=self.claims,
        )
        operators = OperatorService(
            config=self.config,
            hot=self.hot,
            registrations=self.registrations,
            events=self.events,
            subscribers=self.directory,
            farm_wide=farm_wide,
            revoker=self.revoker,
            settings=self.settings,
            gateways=self.gateways,
            now_ms=self.parts.now_ms,
            leave=self.leave,
            withdraw=self._withdraw,
            drain=self.drain,
            maintenance=maintenance,
            lockouts=self.lockouts,
        )
        service = ControlService(proxies, operators)
        self.control = self.parts.control(service, self.metrics)

    async def _listen(self) -> None:
        config = self.config
        await self.network.start(self, self.own.host, config.overlay.port)
        self.projection.start()
        self.bindings.start()
        self.events.start()
        self.exporter.start()
        self.closer.start()
        self.claims.start()
        self.repair.start()
        self.scrubber.start()
        self.retention.start()
        self.renewal.start()
        self.publisher.start()
        await self.discovery.start()
        self.membership.start(self._known)
        if self.kamailio is not None:
            self.kamailio.start(self._kamailio_turned)
            if bool(self.kamailio.away) != self.own.proxy_away:
                self._kamailio_turned()
        await self.projection.tried()
        await self.membership.settled()
        await self.control.start(config.control_socket)
        if config.dns.enabled:
            config.dns_socket.unlink(missing_ok=True)
            self._dns = await dns_server.serve(config.dns_socket, self.zone)
            self._purging.start()

    def zone(self) -> ZoneView:
        """The farm's zone as this node sees the farm."""
        # A suspect is as good as alive: its time is short, and most refute.
        good = (State.ALIVE, State.SUSPECT)
        members = list(self.membership.members)
        nodes = [_zone_node(self.membership.own, live=True)]
        nodes += [_zone_node(m.info, live=m.state in good) for m in members]
        return ZoneView(
            farm=self.config.farm.name,
            nodes=tuple(sorted(nodes, key=lambda node: node.name)),
            ttl_s=self.config.dns.ttl_s,
            sip_port=self.config.proxy.port,
            transport_ports=self.config.proxy.further_ports,
            overlay_port=self.config.overlay.port,
            serial=self._zone_changed_s,
        )

    def _event_stored(self, key: bytes, event: CallEvent) -> None:
        self.open_calls.saw(key, event)
        self.witness.saw(event)

    def _horizon_us(self) -> int:
        return horizon_us(self.parts.now_ms(), self.config.billing.retention_days)

    def _placement_changed(self) -> None:
        self.hot.end_leases()
        self._zone_changed()
        self.repair.farm_changed()
        self.claims.farm_changed()

    def _zone_changed(self) -> None:
        self._zone_changed_s = max(self._zone_changed_s + 1, self.parts.now_ms() // 1000)
        self.publisher.farm_changed()
        self._purging.zone_changed()

    def _own_now(self) -> NodeInfo:
        """This node, and whether its Kamailio answers."""
        away = bool(self.kamailio is not None and self.kamailio.away)
        traits = msgspec.structs.replace(self.own.traits or Traits(), proxy_away=away)
        return msgspec.structs.replace(self.own, traits=traits)

    def _withdraw(self) -> None:
        if self.kamailio is not None:
            self.kamailio.withdraw()

    def _kamailio_turned(self) -> None:
        """It has gone, or come back: phones are to know, and nothing else changes."""
        traits = self.membership.own.traits or Traits()
        away = bool(self.kamailio is not None and self.kamailio.away)
        self.membership.announce(msgspec.structs.replace(traits, proxy_away=away))
        self._zone_changed()

    def _member_changed(self, member: Member) -> None:
        self._placement_changed()
        self.lease.member_changed(member)
        if not self._names_due:
            # Once for all that a message, or a look around, tells.
            self._names_due = True
            asyncio.get_running_loop().call_soon(self._look_for_lost_names)
        if member.state is State.ALIVE:
            self.events.farm_changed()

    def _node_names(self) -> list[str]:
        return [self.own.name, *(member.info.name for member in self.membership.members)]

    def _look_for_lost_names(self) -> None:
        self._names_due = False
        gone = self.membership.members.lost_names()
        if gone != self._gone:
            self._gone = gone
            self._show()

    async def _remember_peers(self) -> None:
        members = self.membership.members
        infos = tuple(member.info for member in members if member.state is not State.LEFT)
        try:
            await self.committer.commit_wait(Peers(peers=infos))
        except SipfarmError as error:
            log.error("peers cannot be remembered: %s", error)


def _zone_node(info: NodeInfo, *, live: bool) -> ZoneNode:
    traits = info.traits or Traits()
    return ZoneNode(
        name=info.name,
        addresses=(info.host, *((traits.address6,) if traits.address6 else ())),
        weight=traits.capacity,
        transports=frozenset(traits.transports),
        live=live and not traits.draining,
        serving=not traits.proxy_away,
    )
