"""The farm: is it well, and if not, which node is to be looked at?"""

from typing import Final

from grafana import thresholds
from grafana.board import Board, Nodes, Query, Section, Unit, graph, number, table
from grafana.promql import FARM, gauge, least, rate, seen, total

_BY_NODE: Final = "node, zone"

_STATE: Final = Section(
    title="Is the farm well?",
    panels=(
        number(
            "Nodes that answer",
            "Nodes that Prometheus reached at its last scrape.",
            Unit.COUNT,
            f"sum(up{{{FARM}}})",
            alerts=("SipfarmFarmDown",),
        ),
        number(
            "Nodes down",
            "Nodes of the last week that Prometheus did not reach at its last scrape. One that "
            "left for good is not counted. The farm goes on without one node; with the second, "
            "some records may have a single copy.",
            Unit.COUNT,
            f"count(up{{{FARM}}} == 0) or count(up{{{FARM}}}) * 0",
            marks=thresholds.NODES_DOWN,
            alerts=("SipfarmNodesDown", "SipfarmNodeDown"),
        ),
        number(
            "Calls begun",
            "Calls that the farm noted as answered, a second.",
            Unit.PER_SECOND,
            rate("sipfarm_call_events_total", labels='kind="START"', where=FARM),
            alerts=("SipfarmCallsFailing", "SipfarmCallsFailingSlowly"),
        ),
        number(
            "Registrations",
            "REGISTERs that succeeded, a second, over all nodes.",
            Unit.REQUESTS_PER_SECOND,
            rate("sipfarm_proxy_registers_done_total", where=FARM),
            alerts=("SipfarmRegistrationsFailing", "SipfarmRegistrationsFailingSlowly"),
        ),
        number(
            "Journal",
            "Call events on too few disks: written by their node, and not on W disks yet. 0 again "
            "once other nodes answer.",
            Unit.COUNT,
            total("sipfarm_journal_depth", where=FARM),
            marks=thresholds.JOURNAL_EVENTS,
            alerts=("SipfarmRecordsLate", "SipfarmRecordsUnsafe", "SipfarmRecordsUnsafeSlowly"),
        ),
        number(
            "Next certificate expires",
            "Of all nodes, the first. Nodes renew theirs by themselves while the enrollment "
            "service runs.",
            Unit.SECONDS,
            f"{least('sipfarm_certificate_expiry_timestamp_seconds', FARM)} - time()",
            marks=thresholds.CERTIFICATE_LEFT_S,
            alerts=("SipfarmCertificateExpiring",),
        ),
        table(
            "Nodes",
            "How each node is now. A node that does not answer shows nothing but that.",
            Query(
                expression=total("up", _BY_NODE, where=FARM),
                legend="Answers",
                unit=Unit.YES_OR_NO,
                marks=thresholds.MUST_BE_THERE,
            ),
            Query(
                expression=total("sipfarm_kamailio_up", _BY_NODE, where=FARM),
                legend="Kamailio",
                unit=Unit.YES_OR_NO,
                marks=thresholds.MUST_BE_THERE,
            ),
            Query(
                expression=total("sipfarm_redis_up", _BY_NODE, where=FARM),
                legend="Redis",
                unit=Unit.YES_OR_NO,
                marks=thresholds.MUST_BE_THERE,
            ),
            Query(
                expression=total("sipfarm_disk_ok", _BY_NODE, where=FARM),
                legend="Disk",
                unit=Unit.YES_OR_NO,
                marks=thresholds.MUST_BE_THERE,
            ),
            Query(expression=total("sipfarm_links", _BY_NODE, where=FARM), legend="Links"),
            Query(
                expression=rate("kamailio_core_rcv_request_total", _BY_NODE, where=FARM),
                legend="Requests",
                unit=Unit.REQUESTS_PER_SECOND,
            ),
            Query(expression=total("sipfarm_bindings", _BY_NODE, where=FARM), legend="Bindings"),
            Query(
                expression=total("sipfarm_open_calls", _BY_NODE, where=FARM), legend="Open calls"
            ),
            Query(
                expression=total("sipfarm_journal_depth", _BY_NODE, where=FARM),
                legend="Journal",
                marks=thresholds.JOURNAL_EVENTS,
            ),
            Query(
                expression=total("sipfarm_disk_free_bytes", _BY_NODE, where=FARM),
                legend="Disk free",
                unit=Unit.BYTES,
                marks=thresholds.DISK_FREE_BYTES,
            ),
            Query(
                expression=f"time() - {total('process_start_time_seconds', _BY_NODE, where=FARM)}",
                legend="Uptime",
                unit=Unit.SECONDS,
            ),
            alerts=("SipfarmKamailioDown", "SipfarmRedisDown", "SipfarmDiskFailing"),
        ),
    ),
)

_TRAFFIC: Final = Section(
    title="Traffic",
    panels=(
        graph(
            "Requests by method",
            "Requests that the nodes' Kamailios received. Requests between nodes count at both.",
            Unit.REQUESTS_PER_SECOND,
            Query(
                expression=seen("kamailio_core_rcv_request_total", "method", where=FARM),
                legend="{{method}}",
            ),
            is_stacked=True,
        ),
        graph(
            "Requests by node",
            "Phones keep to the node that answered last, so nodes differ; a node that gets none "
            "for long is not in DNS or cannot be reached.",
            Unit.REQUESTS_PER_SECOND,
            Query(
                expression=rate("kamailio_core_rcv_request_total", "node", where=FARM),
                legend="{{node}}",
            ),
            alerts=("SipfarmNodeDrained", "SipfarmNodeDrainedTooLong"),
        ),
        graph(
            "Call events by kind",
            "START: a call was answered. STOP: it was hung up. ATTEMPT: nobody answered. CLOSED: "
            "its BYE never came. CHAINED tells of signed blocks, EXPORTED of records that were "
            "handed on.",
            Unit.PER_SECOND,
            Query(
                expression=seen("sipfarm_call_events_total", "kind", where=FARM), legend="{{kind}}"
            ),
        ),
        graph(
            "Requests that the farm turned away",
            "Shed: the node was behind with its work. At risk: calls served while no event could "
            "be written; refused: not served for that reason. Registrations: too few replicas.",
            Unit.REQUESTS_PER_SECOND,
            Query(expression=rate("sipfarm_proxy_shed_total", where=FARM), legend="shed"),
            Query(
                expression=rate("sipfarm_proxy_calls_at_risk_total", where=FARM),
                legend="calls at risk",
            ),
            Query(
                expression=rate("sipfarm_proxy_calls_refused_total", where=FARM),
                legend="calls refused",
            ),
            Query(
                expression=rate("sipfarm_proxy_registers_failed_total", where=FARM),
                legend="registrations failed",
            ),
            marks=thresholds.TURNED_AWAY,
            alerts=("SipfarmOverloaded",),
        ),
    ),
)

_MEMBERS: Final = Section(
    title="Who sees whom, and which version runs",
    panels=(
        graph(
            "Nodes that answer, by zone",
            "As Prometheus sees it.",
            Unit.COUNT,
            Query(expression=total("up", "zone", where=FARM), legend="zone {{zone}}"),
            width=8,
        ),
        graph(
            "Other nodes that a node sees alive",
            "All nodes should show the same number: one that shows less is cut off from some.",
            Unit.COUNT,
            Query(expression=gauge("sipfarm_members", 'state="alive"', FARM), legend="{{node}}"),
            width=8,
            alerts=("SipfarmNodesSplit",),
        ),
        graph(
            "Nodes by version",
            "Two versions at a time are normal during an upgrade.",
            Unit.COUNT,
            Query(expression=f"count by (version) (sipfarm_info{{{FARM}}})", legend="{{version}}"),
            width=8,
            alerts=("SipfarmVersionsDiffer",),
        ),
        graph(
            "Free disk space of the node that has the least",
            "Where the data directory is. A node whose disk is full takes no more call events.",
            Unit.BYTES,
            Query(expression=least("sipfarm_disk_free_bytes", FARM), legend="least"),
            marks=thresholds.DISK_FREE_BYTES,
            alerts=("SipfarmDiskFull",),
        ),
        graph(
            "Versions of the farm's settings in force",
            "1, and 2 for seconds after a change. If it stays above 1, a node did not get the last "
            "one.",
            Unit.COUNT,
            Query(
                expression=f'count(count_values("version", sipfarm_settings_version{{{FARM}}}))',
                legend="versions",
            ),
        ),
    ),
)

BOARD: Final = Board(
    name="farm",
    title="sipfarm: the farm",
    text="Whether the farm is well, and which node to look at if not.",
    nodes=Nodes.ALL,
    sections=(_STATE, _TRAFFIC, _MEMBERS),
)
