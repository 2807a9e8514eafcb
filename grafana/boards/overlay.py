"""The overlay: who is a member, what nodes ask each other, how records are kept."""

from typing import Final

from grafana import thresholds
from grafana.board import Board, Nodes, Query, Section, Unit, graph
from grafana.promql import gauge, quantile, rate, seen, total

_MEMBERS: Final = Section(
    title="Members",
    panels=(
        graph(
            "Other nodes, as each node sees them",
            "Summed over the chosen nodes. Suspect: a probe was not answered; for seconds only, "
            "then alive or dead.",
            Unit.COUNT,
            Query(expression=total("sipfarm_members", "state"), legend="{{state}}"),
            width=8,
            alerts=("SipfarmNodesSplit",),
        ),
        graph(
            "Links",
            "Other nodes to which a node has a connection.",
            Unit.COUNT,
            Query(expression=gauge("sipfarm_links"), legend="{{node}}"),
            width=8,
        ),
        graph(
            "How far a node doubts its own probes",
            "0 is well. A node that is slow itself gives others more time before it takes them for "
            "dead.",
            Unit.COUNT,
            Query(expression=gauge("sipfarm_health_score"), legend="{{node}}"),
            marks=thresholds.HEALTH_SCORE,
            width=8,
        ),
        graph(
            "Requests between nodes",
            "By what was asked, at the node that answers.",
            Unit.REQUESTS_PER_SECOND,
            Query(expression=rate("sipfarm_peer_requests_total", "request"), legend="{{request}}"),
        ),
        graph(
            "Bounds that were hit",
            "Everything in the daemon has a bound; docs/configuration.md says what happens there. "
            "Each has a line from when it was first hit.",
            Unit.PER_SECOND,
            Query(expression=seen("sipfarm_limit_hits_total", "limit"), legend="{{limit}}"),
            marks=thresholds.NEVER,
        ),
    ),
)

_RECORDS: Final = Section(
    title="Records",
    panels=(
        graph(
            "Records held",
            "Each address-of-record and each subscriber counts at every node that has a copy.",
            Unit.COUNT,
            Query(expression=total("sipfarm_bindings"), legend="registrations"),
            Query(expression=total("sipfarm_subscribers"), legend="subscribers"),
            width=8,
        ),
        graph(
            "Answers from the cache",
            "Hot: registrations of other nodes that a node may answer from its cache. Leased: its "
            "own that other nodes may answer so.",
            Unit.COUNT,
            Query(expression=total("sipfarm_hot_records"), legend="hot"),
            Query(expression=total("sipfarm_leased_keys"), legend="leased"),
            Query(expression=rate("sipfarm_redis_writes_total"), legend="Redis writes a second"),
            width=8,
        ),
        graph(
            "Look-ups that asked other nodes",
            "For the nodes that hold a record.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_lookups_total"), legend="look-ups"),
            Query(expression=rate("sipfarm_lookup_hops_total"), legend="steps"),
            width=8,
        ),
        graph(
            "Copies put right",
            "Read repairs: stale copies found when records were read. Repairs: records handed to "
            "nodes that lacked them, as after a node came or went.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_read_repairs_total"), legend="read repairs"),
            Query(expression=rate("sipfarm_repairs_sent_total"), legend="repairs"),
        ),
        graph(
            "Registrations on too few nodes, and forged records",
            "Weak: fewer than W nodes hold it, as there were no more. Forged: the operator has not "
            "signed the record, so it was refused: somebody attacks, or two farms have met.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_registrations_weak_total"), legend="weak"),
            Query(expression=rate("sipfarm_records_forged_total"), legend="forged"),
            marks=thresholds.NEVER,
            alerts=("SipfarmRecordsForged",),
        ),
    ),
)

_DAEMON: Final = Section(
    title="What proxies and operators ask the daemon",
    panels=(
        graph(
            "Requests on the control socket",
            "By what was asked.",
            Unit.REQUESTS_PER_SECOND,
            Query(
                expression=rate("sipfarm_control_requests_total", "request"), legend="{{request}}"
            ),
        ),
        graph(
            "How they were answered",
            "Answered, or why not.",
            Unit.REQUESTS_PER_SECOND,
            Query(
                expression=rate("sipfarm_control_requests_total", "outcome"), legend="{{outcome}}"
            ),
        ),
        graph(
            "Time of an answer, half and 99 of 100",
            "Over all kinds of requests.",
            Unit.SECONDS,
            Query(
                expression=quantile(0.5, "sipfarm_control_request_duration_seconds", ""),
                legend="half",
            ),
            Query(
                expression=quantile(0.99, "sipfarm_control_request_duration_seconds", ""),
                legend="99 of 100",
            ),
            marks=thresholds.CONTROL_S,
            width=8,
        ),
        graph(
            "What failed in a proxy",
            "Questions that the daemon or Redis did not answer, or refused; errors of the routing "
            "script that nobody expected; and connections that the daemon closed because of what "
            "was sent.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_proxy_daemon_failed_total"), legend="daemon"),
            Query(expression=rate("sipfarm_control_frames_refused_total"), legend="frames refused"),
            Query(expression=rate("sipfarm_proxy_cache_failed_total"), legend="Redis"),
            Query(expression=rate("sipfarm_proxy_python_errors_total"), legend="script"),
            width=8,
            alerts=("SipfarmRouteErrors", "SipfarmRedisDown"),
        ),
        graph(
            "Shut out",
            "Revoked nodes, connections of theirs that were refused a second, and users and "
            "addresses that are locked out.",
            Unit.COUNT,
            Query(expression="max(" + gauge("sipfarm_revoked_nodes") + ")", legend="revoked nodes"),
            Query(
                expression=rate("sipfarm_revoked_connections_refused_total"),
                legend="their connections a second",
            ),
            Query(expression="max(" + gauge("sipfarm_lockouts") + ")", legend="locked out"),
            width=8,
        ),
    ),
)

BOARD: Final = Board(
    name="overlay",
    title="sipfarm: the overlay",
    text="Who is a member, what nodes ask each other, and how records are kept.",
    nodes=Nodes.SOME,
    sections=(_MEMBERS, _RECORDS, _DAEMON),
)
