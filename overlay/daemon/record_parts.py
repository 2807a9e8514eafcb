"""The parts that keep the farm's records on N nodes, and show this node's proxies those they need.

In: a node's base parts. Out: these parts. Counterparts: `overlay.replication` and `overlay.cache`
document each of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from overlay.billing.ledger import Ledger
from overlay.cache.hot import HotRecords
from overlay.cache.projection import Projection
from overlay.daemon.base_parts import BaseParts
from overlay.daemon.call_watch import CallWatch
from overlay.maintenance.record_names import RecordNames
from overlay.replication.claims import Claims
from overlay.replication.drain import Drainer
from overlay.replication.events import EventWriter
from overlay.replication.placement import Placement
from overlay.replication.pushed_changes import PushedChanges
from overlay.replication.reader import Reader
from overlay.replication.registrations import Registrations
from overlay.replication.repair import Repair
from overlay.replication.replica import Replica
from overlay.replication.replicas import Replicas
from overlay.replication.spreader import Spreader
from overlay.replication.subscribers import SubscriberDirectory
from overlay.storage.scrubber import Scrubber


@dataclass(frozen=True, kw_only=True)
class RecordParts:
    """The record parts of one node."""

    projection: Projection
    hot: HotRecords
    changes: PushedChanges
    replica: Replica
    placement: Placement
    replicas: Replicas
    ledger: Ledger
    """Signs the events that `events` writes."""
    reader: Reader
    spreader: Spreader
    registrations: Registrations
    events: EventWriter
    directory: SubscriberDirectory
    claims: Claims
    repair: Repair
    scrubber: Scrubber
    drain: Drainer
    replicas_changed: Callable[[], None]
    """To be called when other nodes than before may hold a record, or when nodes see the farm in
    another way."""


def build_records(
    base: BaseParts, call_watch: CallWatch, zone_changed: Callable[[], None]
) -> RecordParts:
    """Make the record parts. `zone_changed` is called when this node or another begins or ends to
    drain."""
    overlay, membership, committer = base.config.overlay, base.membership, base.committer
    projection = base.parts.projection(base.config)
    hot = HotRecords(projection, base.now_ms, membership.members.lost_names)
    replica = Replica(
        own_id=base.own_id,
        bindings=base.bindings,
        subscribers=base.subscribers,
        committer=committer,
        hot=hot,
        transport=base.network,
        now_ms=base.now_ms,
        vetting=base.vetting,
        horizon_us=base.horizon_us,
        event_stored=call_watch.saw,
    )
    placement = Placement(membership, overlay.replicas, overlay.write_quorum)
    spreader = Spreader(base.network)
    replicas = Replicas(
        own_id=base.own_id,
        own=replica,
        placement=placement,
        transport=base.network,
        spreader=spreader,
        count=overlay.replicas,
        write_quorum=overlay.write_quorum,
        read_quorum=overlay.read_quorum,
    )
    ledger = Ledger(
        lambda: base.renewal.identity,
        replicas,
        committer,
        call_watch.witness,
        base.clock.tick,
        base.now_ms,
        base.incarnation,
    )
    reader = Reader(replicas)
    registrations = Registrations(base.config.proxy, replicas, reader, base.clock)
    events = EventWriter(base.own.name, replicas, reader, committer, base.clock, ledger)
    directory = SubscriberDirectory(overlay.lease_ms, replicas, reader, hot, base.vetting)
    claims = Claims(replicas, committer, base.clock, base.now_ms)
    repair = Repair(replicas, overlay.repair_interval_ms / 1000)

    def replicas_changed() -> None:
        hot.end_leases()
        zone_changed()
        repair.farm_changed()
        claims.farm_changed()

    names = RecordNames(replica, base.node_names)
    drain = Drainer(overlay, membership, repair, replica, events, names.of, replicas_changed)
    return RecordParts(
        projection=projection,
        hot=hot,
        changes=PushedChanges(hot, base.vetting),
        replica=replica,
        placement=placement,
        replicas=replicas,
        ledger=ledger,
        reader=reader,
        spreader=spreader,
        registrations=registrations,
        events=events,
        directory=directory,
        claims=claims,
        repair=repair,
        scrubber=Scrubber(base.bindings, base.subscribers, committer),
        drain=drain,
        replicas_changed=replicas_changed,
    )
