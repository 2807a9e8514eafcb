"""The figures that Prometheus reads off a node's parts.

In: a node. Out: gauges in its registry, evaluated when they are asked for.
"""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import Gauge
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from overlay.base.version import VERSION
from overlay.billing.exporter import Progress
from overlay.membership.members import State

if TYPE_CHECKING:
    from overlay.daemon.node import Node


def _count(node: "Node", state: State) -> Callable[[], float]:
    return lambda: sum(member.state is state for member in node.membership.members)


def watch(node: "Node") -> None:
    """Register the gauges."""
    metrics = node.metrics
    metrics.describe(farm=node.config.farm.name, node=node.own.name, version=VERSION)
    members = metrics.gauges("sipfarm_members", "Other nodes by state", "state")
    for state in State:
        members.labels(state.value).set_function(_count(node, state))
    plain = {
        "links": ("Peers with a link", lambda: len(node.membership.members.linked())),
        "bindings": ("Registration records held", lambda: len(node.bindings)),
        "subscribers": ("Subscriber records held", lambda: len(node.subscribers)),
        "hot_records": ("Registrations under a lease of this node", lambda: len(node.hot)),
        "leased_keys": ("Keys that others hold leases on", lambda: len(node.replica.leases)),
        "lockouts": ("Users and addresses that are locked out", lambda: len(node.lockouts)),
        "health_score": (
            "How far this node doubts its own probes, 0 is well",
            lambda: node.membership.health.score,
        ),
        "open_calls": (
            "Calls without an end of which this node is a replica",
            lambda: len(node.closer.open_calls),
        ),
        "claims": (
            "Calls of subscribers whose calls are limited that this node keeps in mind",
            lambda: len(node.claims.counts),
        ),
        "unsigned_events": (
            "Call events of this node that no signed block has yet",
            lambda: node.ledger.unsigned,
        ),
        "journal_depth": ("Call events on fewer than W disks", lambda: node.events.journal_depth),
        "redis_up": ("Redis can be used", lambda: not node.projection.error),
        "dns_publishing": (
            "This node publishes the farm's records",
            lambda: node.publisher.publishing,
        ),
        "disk_ok": ("The last commit succeeded", lambda: not node.committer.last_error),
        "disk_free_bytes": (
            "Free where the data directory is",
            node.committer.space.free_bytes,
        ),
        "broken_files": (
            "Files that were broken and are set aside in the data directory",
            lambda: len(node.committer.damage.files),
        ),
        "revoked_nodes": ("Nodes on the list", lambda: len(node.revoker.current.node_ids)),
        "revocations_version": ("Of the list", lambda: node.revoker.current.version),
        "settings_version": (
            "Of the farm's settings, 0 for none",
            lambda: node.settings.current.version,
        ),
        "certificate_seconds": (
            "Time until the node's certificate expires",
            lambda: node.identity.expires_at.timestamp() - time.time(),
        ),
    }
    for name, (text, value) in plain.items():
        metrics.gauge(f"sipfarm_{name}", text, value)
    totals = {
        "commits": ("Commits of call events and subscribers", lambda: node.committer.batches),
        "committed_rows": ("Rows in those commits", lambda: node.committer.rows),
        "rotten_rows": (
            "Rows on disk that were not as they were written, since the start",
            lambda: node.committer.damage.rotten_rows,
        ),
        "redis_writes": ("Entries written to Redis", lambda: node.projection.writes),
        "lookups": (
            "Lookups of a record's replicas that had to ask others",
            lambda: node.membership.lookups,
        ),
        "lookup_hops": ("Steps that these took", lambda: node.membership.lookup_hops),
        "repairs_sent": ("Records handed to replicas that lacked them", lambda: node.repair.sent),
        "registrations_weak": (
            "REGISTERs that fewer than W nodes hold, as there were no more",
            lambda: node.registrations.weak,
        ),
        "login_failures": (
            "Wrong passwords that this node's proxies were told",
            lambda: node.lockouts.failures,
        ),
        "lockouts_begun": ("Lockouts that this node found out", lambda: node.lockouts.begun),
        "claims_refused": (
            "Calls above their subscriber's limit, by this node's word",
            lambda: node.claims.refused,
        ),
        "revoked_refused": (
            "Connections of revoked nodes that were refused",
            lambda: node.network.revoked_refused,
        ),
        "records_forged": ("Records refused as not the operator's", lambda: node.vetting.refused),
        "blocks_signed": (
            "Signed blocks of call events",
            lambda: node.ledger.blocks,
        ),
        "blocks_refused": (
            "Tries at storing one that failed",
            lambda: node.ledger.failures,
        ),
        "calls_closed": (
            "Calls that this node closed, as their BYE never came",
            lambda: node.closer.closed,
        ),
        "calls_deleted": (
            "Calls past billing.retention_days that were deleted here",
            lambda: node.retention.deleted,
        ),
        "dns_updates": (
            "Dynamic updates of the farm's records that were accepted",
            lambda: node.publisher.updates,
        ),
        "dns_update_failures": (
            "Tries at publishing that failed",
            lambda: node.publisher.failures,
        ),
        "read_repairs": ("Stale copies found by reads", lambda: node.reader.repairs),
    }
    for name, (text, value) in totals.items():
        metrics.total(f"sipfarm_{name}", text, value)
    _watch_export(node)
    metrics.registry.register(_GatewayStates(node))


def _watch_export(node: "Node") -> None:
    metrics = node.metrics
    texts = {
        "backlog": "Calls that a sink may lack and this node has to look at",
        "lag_seconds": "Since the last event of the call that waits the longest here for the sink",
        "up": "The sink took what it was last given",
        "rows": "Rows that the sink took, since the start",
        "failures": "Tries that failed, since the start",
    }
    gauges = {
        name: metrics.gauges(f"sipfarm_export_{name}", text, "sink") for name, text in texts.items()
    }
    for sink, progress in node.exporter.progress.items():
        _watch_sink({name: gauge.labels(sink) for name, gauge in gauges.items()}, progress)


def _watch_sink(gauges: dict[str, Gauge], progress: Progress) -> None:
    gauges["backlog"].set_function(lambda: progress.backlog)
    gauges["lag_seconds"].set_function(
        lambda: time.time() - progress.oldest_us / 1e6 if progress.oldest_us else 0.0
    )
    gauges["up"].set_function(lambda: not progress.last_error)
    gauges["rows"].set_function(lambda: progress.taken)
    gauges["failures"].set_function(lambda: progress.failures)


class _GatewayStates(Collector):
    """Trunks come and go while the node runs."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        """Whether each gateway answers this node."""
        text = "The gateway answers this node's OPTIONS"
        family = GaugeMetricFamily("sipfarm_gateway_up", text, labels=("trunk", "gateway"))
        for labels, up in self._node.gateways.states().items():
            family.add_metric(labels, float(up))
        yield family
