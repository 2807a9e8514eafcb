"""One node of the overlay: all its parts, put together.

In: a configuration and an identity. Out: a running node. Counterparts: `main.py` gives it a
process; the tests run several nodes in one process.
"""

import asyncio
import logging
from contextlib import suppress

from overlay.base.version import VERSION
from overlay.config.config import Config
from overlay.daemon.base_parts import BaseParts, build_base
from overlay.daemon.billing_parts import BillingParts, build_billing
from overlay.daemon.call_watch import CallWatch
from overlay.daemon.control_parts import ControlParts, build_control
from overlay.daemon.dns_parts import DnsParts, build_dns
from overlay.daemon.lifecycle import Lifecycle
from overlay.daemon.operator_parts import OperatorParts
from overlay.daemon.parts import Parts
from overlay.daemon.peer_requests import PeerRequests
from overlay.daemon.reactions import Links, ProxyWatch, Settled
from overlay.daemon.record_parts import RecordParts, build_records
from overlay.identity.identity import Identity
from overlay.links.peer_part import PeerPart
from overlay.membership.remembered_peers import RememberedPeers
from overlay.observe.metrics import Metrics
from overlay.observe.part import Part

log = logging.getLogger(__name__)


class Node:
    """The overlay's daemon without a process around it."""

    def __init__(self, config: Config, identity: Identity, parts: Parts | None = None) -> None:
        self.config = config
        self.metrics = Metrics()
        self.requests = PeerRequests(self.metrics.peer_requests.inc)
        self.stopped = asyncio.Event()
        """Set when the process should end."""
        self.leaving = False
        self._parts = parts or Parts()
        self._identity = identity
        self._life = Lifecycle()

    async def start(self) -> None:
        """Open the files, listen, and look for the farm; returns when the node has looked
        everywhere.

        Raises `StorageError` or `OSError` if a file or an address cannot be had, and
        `IdentityError` if the operator has revoked this node. No part runs then.
        """
        try:
            await self._start()
        except (Exception, asyncio.CancelledError):
            with suppress(Exception):
                await self._life.stop()
            raise

    async def stop(self) -> None:
        """Stop all parts, in the opposite order of `in_order`."""
        await self._life.stop()

    def leave(self) -> None:
        """Leave the farm for good, so that the peers do not wait for this node."""
        self.leaving = True
        self.stopped.set()

    @property
    def identity(self) -> Identity:
        """This node's identity, with its latest certificate."""
        return self.base.renewal.identity

    # inner workings

    async def _start(self) -> None:
        self.base = base = await build_base(self.config, self._identity, self._parts, self._life)
        self.own, self.network, self.membership = base.own, base.network, base.membership
        self.committer, self.bindings = base.committer, base.bindings
        self.dns = build_dns(base)
        call_watch = CallWatch(base)
        self.records = build_records(base, call_watch, self.dns.changed)
        self.billing = build_billing(base, self.records, call_watch)
        self.operator = OperatorParts(base, self.stopped.set)
        self.control = build_control(base, self.records, self.operator, self.metrics, self.leave)
        links = Links(
            base,
            self.records,
            self.operator,
            self.dns,
            self.control,
            self.requests,
            lambda: self.leaving,
        )
        parts = in_order(
            base,
            self.records,
            self.billing,
            self.operator,
            self.dns,
            self.control,
            self.requests,
            links,
        )
        self._announce((*self._life.begun, *parts))
        await self._life.start(*parts)
        log.info("node %s (%s) of %s is up", self.own.name, self.own.node_id.hex(), self._farm)

    @property
    def _farm(self) -> str:
        return self.config.farm.name

    def _announce(self, parts: tuple[Part, ...]) -> None:
        self.metrics.describe(
            farm=self._farm, node=self.own.name, zone=self.own.zone, version=VERSION
        )
        for part in parts:
            self.metrics.show(part)
            if isinstance(part, PeerPart):
                self.requests.gather(part.requests())


def in_order(
    base: BaseParts,
    records: RecordParts,
    billing: BillingParts,
    operator: OperatorParts,
    dns: DnsParts,
    control: ControlParts,
    requests: PeerRequests,
    links: Links,
) -> tuple[Part, ...]:
    """All parts in the order of their start, after the disk and the first look at Kamailio.

    They stop in the opposite order. First those stop that ask: proxies, resolvers and this node's
    own work. Then the peers' links close, and at last the disk. So no part asks one that has
    stopped, the writes under way still reach the disk, and peers get answers until their links are
    closed.
    """
    kamailio = base.kamailio
    disk = (base.vetting, records.projection, records.hot, records.reader, records.replica)
    peers = (
        requests,
        # Before the first link, so that a revoked node gets none.
        operator.revoker,
        operator.gateways,
        operator.settings,
        control.lockouts,
        control.local,
        records.registrations,
        records.changes,
        links,
        dns.publisher,
        base.renewal,
        base.discovery,
        base.membership,
        # After membership, which begins with the remembered peers: a start that fails before that
        # must not overwrite them.
        RememberedPeers(base.membership, base.committer),
    )
    work = (
        records.events,
        records.spreader,
        billing.retention,
        records.scrubber,
        records.repair,
        control.lease,
        records.drain,
        billing.exporter,
        billing.ledger,
        records.claims,
        billing.closer,
    )
    askers = (
        *([ProxyWatch(kamailio, base.membership, dns.changed)] if kamailio else []),
        Settled(records, base.membership),
        control.server,
        *dns.for_powerdns,
    )
    return (*disk, *peers, *work, *askers)
