"""The parts that keep the farm's records on N nodes, and show this node's proxies what they need.

In: a node's base parts. Out: these parts. Counterparts: `overlay.replication` and `overlay.cache`
say what each of them does.
"""

from collections.abc import Callable
from dataclasses import dataclass

from overlay.cache.hot import HotRecords
from overlay.cache.projection import Projection
from overlay.daemon.base_parts import BaseParts
from overlay.maintenance.record_names import RecordNames
from overlay.replication.claims import Claims
from overlay.replication.drain import Drain
from overlay.replication.events import EventWriter
from overlay.replication.placement import Placement
from overlay.replication.pushed_changes import PushedChanges
from overlay.replication.reader import Reader
from overlay.replication.registrations import Registrations
from overlay.replication.repair import Repair
from overlay.replication.replica import Replica
from overlay.replication.spreader import Spreader
from overlay.replication.subscribers import SubscriberDirectory
from overlay.storage.scrubber import Scrubber


@dataclass(frozen=True, kw_only=True)
class RecordParts:
    """One node's."""

    projection: Projection
    hot: HotRecords
    changes: PushedChanges
    replica: Replica
    placement: Placement
    reader: Reader
    spreader: Spreader
    registrations: Registrations
    events: EventWriter
    directory: SubscriberDirectory
    claims: Claims
    repair: Repair
    scrubber: Scrubber
    drain: Drain
    replicas_changed: Callable[[], None]
    """To be called when other nodes than before may hold a record, or see the farm otherwise."""


def build_records(base: BaseParts, zone_changed: Callable[[], None]) -> RecordParts:
    """Make them; `zone_changed` is called when this node or another begins or ends to drain."""
    config, own_id, now_ms = base.config, base.own_id, base.now_ms
    membership, network, committer = base.membership, base.network, base.committer
    projection = base.parts.projection(config)
    hot = HotRecords(projection, now_ms)
    hot.lost = membership.members.lost_names
    replica = Replica(
        own_id,
        base.bindings,
        base.subscribers,
        committer,
        hot,
        network,
        now_ms,
        base.vetting,
        base.horizon_us,
    )
    overlay = config.overlay
    placement = Placement(membership, overlay.replicas, overlay.write_quorum)
    reader = Reader(own_id, placement, replica, network, overlay.read_quorum)
    spreader = Spreader(network)
    registrations = Registrations(
        own_id, config, placement, replica, reader, network, spreader, base.clock
    )
    events = EventWriter(
        own_id, config, placement, committer, reader, network, spreader, base.clock
    )
    directory = SubscriberDirectory(
        own_id, config, placement, replica, reader, hot, network, base.vetting
    )
    claims = Claims(own_id, placement, committer, network, base.clock, now_ms)
    repair = Repair(own_id, overlay, placement, replica, network)

    def replicas_changed() -> None:
        hot.end_leases()
        zone_changed()
        repair.farm_changed()
        claims.farm_changed()

    names = RecordNames(replica, base.node_names)
    drain = Drain(overlay, membership, repair, replica, events, names.of, replicas_changed)
    return RecordParts(
        projection=projection,
        hot=hot,
        changes=PushedChanges(hot, base.vetting),
        replica=replica,
        placement=placement,
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
