"""The parts that answer this node's proxies and its CLI.

In: a node's other parts. Out: these parts. Counterparts: `overlay.control` and
`overlay.maintenance` document each of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from overlay.control.farm_wide import FarmWide
from overlay.control.local import Local
from overlay.control.lockouts import Lockouts
from overlay.control.operator_service import OperatorService
from overlay.control.proxy_service import ProxyService
from overlay.control.readiness import Readiness
from overlay.control.server import ControlServer
from overlay.control.service import ControlService
from overlay.daemon.base_parts import BaseParts
from overlay.daemon.operator_parts import OperatorParts
from overlay.daemon.record_parts import RecordParts
from overlay.maintenance.lease_keeper import LeaseKeeper
from overlay.maintenance.maintenance import Maintenance
from overlay.observe.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class ControlParts:
    """The control parts of one node."""

    lockouts: Lockouts
    readiness: Readiness
    lease: LeaseKeeper
    local: Local
    server: ControlServer


def build_control(
    base: BaseParts,
    records: RecordParts,
    operator: OperatorParts,
    metrics: Metrics,
    leave: Callable[[], None],
) -> ControlParts:
    """Make the control parts. `leave` is called when an operator has the node leave the farm."""
    config, membership, network = base.config, base.membership, base.network
    kamailio = base.kamailio
    away = (lambda: kamailio.away) if kamailio is not None else None
    lockouts = Lockouts(config.proxy, lambda: base.now_ms() / 1000)
    readiness = Readiness(
        base.own.name, base.incarnation, records.registrations, away or (lambda: "")
    )
    lease = LeaseKeeper(membership, network, readiness.check)
    local = Local(
        base.own,
        membership,
        records.replica,
        records.events,
        records.projection,
        readiness,
        lease.told,
        away,
        base.parts.shed,
    )
    farm_wide = FarmWide(local, membership, network, base.vetting)
    maintenance = Maintenance(
        base.own.name,
        config.overlay.write_quorum,
        records.drain,
        lease,
        farm_wide.status,
        lambda: operator.revoker.current.node_ids,
    )
    proxies = ProxyService(
        config=config,
        hot=records.hot,
        registrations=records.registrations,
        events=records.events,
        subscribers=records.directory,
        farm_wide=farm_wide,
        metrics=metrics,
        now_ms=base.now_ms,
        drain=records.drain,
        lockouts=lockouts,
        claims=records.claims,
    )
    operators = OperatorService(
        config=config,
        hot=records.hot,
        registrations=records.registrations,
        events=records.events,
        subscribers=records.directory,
        farm_wide=farm_wide,
        revoker=operator.revoker,
        settings=operator.settings,
        gateways=operator.gateways,
        now_ms=base.now_ms,
        leave=leave,
        withdraw=kamailio.withdraw if kamailio is not None else _nothing,
        drain=records.drain,
        maintenance=maintenance,
        lockouts=lockouts,
    )
    service = ControlService(proxies, operators)
    return ControlParts(
        lockouts=lockouts,
        readiness=readiness,
        lease=lease,
        local=local,
        server=base.parts.control(service, metrics, config.control_socket),
    )


def _nothing() -> None:
    """Do nothing: there is no Kamailio to withdraw."""
