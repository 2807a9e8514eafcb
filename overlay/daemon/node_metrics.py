"""The figures that Prometheus reads off a node's parts.

In: a node. Out: families in its registry, each read when Prometheus asks. `FIGURES` declares them:
a figure is one entry there, and all that shows it derives from that.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from overlay.base.limits import GATEWAYS_PER_TRUNK_MAX, MEMBERS_MAX, TRUNKS_MAX
from overlay.base.version import VERSION
from overlay.membership.member import LIVING, Member
from overlay.membership.members import State
from overlay.observe.metric_families import Family, Kind, Label, Unit
from overlay.observe.metrics import Sample

if TYPE_CHECKING:
    from overlay.billing.exporter import Progress
    from overlay.daemon.node import Node

_SINKS_MAX: Final = 6
"""Two kinds of files, PostgreSQL, a webhook, Kafka; and one more to come."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A family, and how it is read off a node."""

    family: Family
    read: Callable[["Node"], Iterable[Sample]]


def _gauge(
    name: str, text: str, value: "Callable[[Node], float]", unit: Unit = Unit.NONE
) -> Figure:
    family = Family(name=f"sipfarm_{name}", kind=Kind.GAUGE, text=text, unit=unit)
    return Figure(family=family, read=lambda node: [((), value(node))])


def _total(name: str, text: str, value: "Callable[[Node], float]") -> Figure:
    """A sum that its owner counts since the daemon's start."""
    family = Family(name=f"sipfarm_{name}_total", kind=Kind.COUNTER, text=text)
    return Figure(family=family, read=lambda node: [((), value(node))])


def _export(
    name: str,
    text: str,
    value: "Callable[[Progress], float]",
    kind: Kind = Kind.GAUGE,
    unit: Unit = Unit.NONE,
) -> Figure:
    """A figure of each place that records are exported to."""
    sink = Label(name="sink", text="where records are exported to", values_max=_SINKS_MAX)
    family = Family(name=f"sipfarm_export_{name}", kind=kind, text=text, unit=unit, labels=(sink,))
    return Figure(
        family=family,
        read=lambda node: (
            ((name,), value(progress)) for name, progress in node.exporter.progress.items()
        ),
    )


def _members() -> Figure:
    def read(node: "Node") -> Iterator[Sample]:
        counts = Counter(member.state for member in node.membership.members)
        for state in State:
            yield (state.value,), counts[state]

    states = tuple(state.value for state in State)
    family = Family(
        name="sipfarm_members",
        kind=Kind.GAUGE,
        text="Other nodes, by how this node sees them",
        labels=(Label(name="state", text="how the node is", values=states),),
    )
    return Figure(family=family, read=read)


def _member_draining() -> Figure:
    family = Family(
        name="sipfarm_member_draining",
        kind=Kind.GAUGE,
        text="1 for each other node that is being taken out of service, or was when it stopped",
        labels=(Label(name="member", text="the other node's name", values_max=MEMBERS_MAX),),
    )
    return Figure(
        family=family,
        read=lambda node: (((name,), 1.0) for name in out_of_service(node.membership.members)),
    )


def out_of_service(members: Iterable[Member]) -> list[str]:
    """Names of nodes that are drained, or were when they died. One that has the name of such a node
    and serves has taken its place."""
    known = [member for member in members if member.state is not State.LEFT]
    drained = {member.info.name for member in known if member.info.draining}
    serving = {
        member.info.name for member in known if member.state in LIVING and not member.info.draining
    }
    return sorted(drained - serving)


def _gateway_up() -> Figure:
    family = Family(
        name="sipfarm_gateway_up",
        kind=Kind.GAUGE,
        text="Whether the gateway answers this node's OPTIONS",
        labels=(
            Label(name="trunk", text="the trunk's name", values_max=TRUNKS_MAX),
            Label(
                name="gateway",
                text="the gateway's URI; the bound is each trunk's",
                values_max=GATEWAYS_PER_TRUNK_MAX,
            ),
        ),
    )
    return Figure(
        family=family,
        read=lambda node: ((each, float(up)) for each, up in node.gateways.states().items()),
    )


def _farm() -> tuple[Figure, ...]:
    """The nodes, and what they agree on."""
    return (
        _members(),
        _member_draining(),
        _gauge("links", "Nodes with a link", lambda node: len(node.membership.members.linked())),
        _gauge(
            "health_score",
            "How far this node doubts its own probes; 0 is well",
            lambda node: node.membership.health.score,
        ),
        _total(
            "lookups",
            "Lookups of a record's replicas that had to ask other nodes",
            lambda node: node.membership.lookups,
        ),
        _total(
            "lookup_hops", "Steps that these lookups took", lambda node: node.membership.lookup_hops
        ),
        _gauge(
            "certificate_expiry_timestamp_seconds",
            "When the node's certificate expires, as Unix time",
            lambda node: node.identity.expires_at.timestamp(),
            Unit.SECONDS,
        ),
        _gauge(
            "revoked_nodes",
            "Nodes on the list of revoked nodes",
            lambda node: len(node.revoker.current.node_ids),
        ),
        _gauge(
            "revocations_version",
            "The version of the list of revoked nodes that is in force",
            lambda node: node.revoker.current.version,
        ),
        _total(
            "revoked_connections_refused",
            "Connections of revoked nodes that were refused",
            lambda node: node.network.revoked_refused,
        ),
        _gauge(
            "settings_version",
            "The version of the farm's settings that is in force, 0 for none",
            lambda node: node.settings.current.version,
        ),
    )


def _registrations() -> tuple[Figure, ...]:
    """Registrations, subscribers, and who may not."""
    return (
        _gauge(
            "bindings",
            "Registration records held, one for each address-of-record; "
            "those of readiness probes do not count",
            lambda node: node.local.count_bindings(),
        ),
        _gauge("subscribers", "Subscriber records held", lambda node: len(node.subscribers)),
        _gauge(
            "hot_records",
            "Registrations of other nodes that this node may answer from its cache",
            lambda node: len(node.hot),
        ),
        _gauge(
            "leased_keys",
            "Records of this node that other nodes may answer from their caches",
            lambda node: len(node.replica.leases),
        ),
        _total(
            "registrations_weak",
            "REGISTERs that fewer than W nodes hold, as there were no more",
            lambda node: node.registrations.weak,
        ),
        _total(
            "read_repairs",
            "Stale copies found when records were read",
            lambda node: node.reader.repairs,
        ),
        _total(
            "repairs_sent",
            "Records handed to replicas that lacked them",
            lambda node: node.repair.sent,
        ),
        _total(
            "records_forged",
            "Records refused as the operator had not signed them",
            lambda node: node.vetting.refused,
        ),
        _gauge(
            "lockouts",
            "Users and addresses that are locked out",
            lambda node: len(node.lockouts),
        ),
        _total(
            "lockouts_begun", "Lockouts that this node found out", lambda node: node.lockouts.begun
        ),
        _total(
            "login_failures",
            "Wrong passwords that this node's proxy told it of",
            lambda node: node.lockouts.failures,
        ),
    )


def _calls() -> tuple[Figure, ...]:
    """Calls, their records, and where these go."""
    return (
        _gauge(
            "open_calls",
            "Calls without an end of which this node is a replica",
            lambda node: len(node.closer.open_calls),
        ),
        _total(
            "calls_closed",
            "Calls that this node closed, as their BYE never came",
            lambda node: node.closer.closed,
        ),
        _total(
            "calls_deleted",
            "Calls past `billing.retention_days` that were deleted here",
            lambda node: node.retention.deleted,
        ),
        _gauge(
            "claims",
            "Calls of subscribers whose calls are limited that this node keeps in mind",
            lambda node: len(node.claims.counts),
        ),
        _total(
            "claims_refused",
            "Calls above their subscriber's limit, by this node's word",
            lambda node: node.claims.refused,
        ),
        _gauge(
            "journal_depth",
            "Call events of this node that are on fewer than W disks",
            lambda node: node.events.journal_depth,
        ),
        _gauge(
            "unsigned_events",
            "Call events of this node that no signed block has yet",
            lambda node: node.ledger.unsigned,
        ),
        _total("blocks_signed", "Signed blocks of call events", lambda node: node.ledger.blocks),
        _total(
            "block_failures",
            "Failed tries at storing a signed block",
            lambda node: node.ledger.failures,
        ),
        _export(
            "backlog_calls",
            "Calls that the sink may lack and this node has to look at",
            lambda progress: progress.backlog,
        ),
        _export(
            "lag_seconds",
            "Since the last event of the call that waits the longest here for the sink; 0 if none "
            "waits",
            lambda progress: time.time() - progress.oldest_us / 1e6 if progress.oldest_us else 0.0,
            unit=Unit.SECONDS,
        ),
        _export("up", "Whether the sink took what it was last given", lambda p: not p.last_error),
        _export(
            "rows_total", "Rows that the sink took", lambda progress: progress.taken, Kind.COUNTER
        ),
        _export(
            "failures_total",
            "Failed tries at giving the sink rows",
            lambda progress: progress.failures,
            Kind.COUNTER,
        ),
        _gateway_up(),
    )


def _storage() -> tuple[Figure, ...]:
    """The disk, and Redis."""
    return (
        _gauge(
            "disk_ok",
            "Whether the last commit succeeded",
            lambda node: not node.committer.last_error,
        ),
        _gauge(
            "disk_free_bytes",
            "Free space where the data directory is",
            lambda node: node.committer.space.free_bytes(),
            Unit.BYTES,
        ),
        _total(
            "commits",
            "Commits of call events and subscribers",
            lambda node: node.committer.batches,
        ),
        _total("committed_rows", "Rows in those commits", lambda node: node.committer.rows),
        _total(
            "rotten_rows",
            "Rows on disk that were not as they were written",
            lambda node: node.committer.damage.rotten_rows,
        ),
        _gauge(
            "broken_files",
            "Files that were broken and are set aside in the data directory",
            lambda node: len(node.committer.damage.files),
        ),
        _gauge("redis_up", "Whether Redis can be used", lambda node: not node.projection.error),
        _total("redis_writes", "Entries written to Redis", lambda node: node.projection.writes),
    )


def _dns() -> tuple[Figure, ...]:
    """The farm's names."""
    return (
        _gauge(
            "dns_publishing",
            "Whether this node publishes the farm's records",
            lambda node: node.publisher.publishing,
        ),
        _total(
            "dns_updates",
            "Dynamic updates of the farm's records that were accepted",
            lambda node: node.publisher.updates,
        ),
        _total(
            "dns_update_failures",
            "Failed tries at publishing the farm's records",
            lambda node: node.publisher.failures,
        ),
    )


FARM: Final = _farm()
REGISTRATIONS: Final = _registrations()
CALLS: Final = _calls()
STORAGE: Final = _storage()
DNS: Final = _dns()
FIGURES: Final = (*FARM, *REGISTRATIONS, *CALLS, *STORAGE, *DNS)


def watch(node: "Node") -> None:
    """Show the figures of a node."""
    node.metrics.describe(
        farm=node.config.farm.name,
        node=node.own.name,
        zone=node.config.node.zone,
        version=VERSION,
    )
    for figure in FIGURES:
        node.metrics.read(figure.family, _bound(figure, node))


def _bound(figure: Figure, node: "Node") -> Callable[[], Iterable[Sample]]:
    return lambda: figure.read(node)
