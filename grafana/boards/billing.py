"""Billing: is every call's record safe, signed and exported?"""

from typing import Final

from grafana import thresholds
from grafana.board import Board, Nodes, Query, Section, Unit, graph, number
from grafana.promql import gauge, most, rate, seen, total

_SAFE: Final = Section(
    title="Are records safe?",
    panels=(
        number(
            "Journal",
            "Call events on too few disks: written by their node, and not on W disks yet.",
            Unit.COUNT,
            total("sipfarm_journal_depth"),
            marks=thresholds.JOURNAL_EVENTS,
            alerts=("SipfarmRecordsLate", "SipfarmRecordsUnsafe", "SipfarmRecordsUnsafeSlowly"),
        ),
        number(
            "Unsigned events",
            "No signed block has them yet; `sipfarm cdr verify` cannot vouch for them.",
            Unit.COUNT,
            total("sipfarm_unsigned_events"),
            alerts=("SipfarmBlocksUnsigned",),
        ),
        number(
            "Calls refused",
            "INVITEs answered 503 while no call event could be written, a second.",
            Unit.PER_SECOND,
            rate("sipfarm_proxy_calls_refused_total"),
            marks=thresholds.NEVER,
        ),
        number(
            "Rotten rows",
            "Rows on disk that were not as they were written, since the daemons started. Another "
            "copy is used.",
            Unit.COUNT,
            total("sipfarm_rotten_rows_total"),
            marks=thresholds.ANY,
            alerts=("SipfarmDataDamaged",),
        ),
        number(
            "Files set aside",
            "Broken ones in the data directory, at the node that has the most. They are kept, to "
            "be looked at.",
            Unit.COUNT,
            most("sipfarm_broken_files"),
            marks=thresholds.ANY,
            alerts=("SipfarmDataDamaged",),
        ),
        number(
            "Sinks take rows",
            "Whether each sink took what it was last given; No if one node could not.",
            Unit.YES_OR_NO,
            f"min by (sink) ({gauge('sipfarm_export_up')})",
            legend="{{sink}}",
            marks=thresholds.MUST_BE_THERE,
            alerts=("SipfarmExportStuck",),
        ),
        graph(
            "Call events by kind",
            "START and STOP are a call; INTERIM tells that it goes on; ATTEMPT is one that nobody "
            "answered.",
            Unit.PER_SECOND,
            Query(expression=seen("sipfarm_call_events_total", "kind"), legend="{{kind}}"),
        ),
        graph(
            "Call events by how safe they are",
            "quorum: on W disks. journal: on the node's own disk, until others can be reached. "
            "refused: on none; the message waits for its retransmission.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_call_events_total", "level"), legend="{{level}}"),
        ),
        graph(
            "Events in the journal",
            "By node. Grows while too few other nodes can be reached, and goes back to 0 after.",
            Unit.COUNT,
            Query(expression=gauge("sipfarm_journal_depth"), legend="{{node}}"),
            marks=thresholds.JOURNAL_EVENTS,
            alerts=("SipfarmRecordsLate", "SipfarmRecordsUnsafe", "SipfarmRecordsUnsafeSlowly"),
        ),
        graph(
            "What the proxies made of events",
            "Written: a call event is safe. Repeated: a retransmission whose event was safe. "
            "Dropped: the message was held back, as its event was not. At risk: a call was served "
            "without one.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_proxy_events_written_total"), legend="written"),
            Query(expression=rate("sipfarm_proxy_events_repeated_total"), legend="repeated"),
            Query(expression=rate("sipfarm_proxy_events_dropped_total"), legend="dropped"),
            Query(expression=rate("sipfarm_proxy_calls_at_risk_total"), legend="calls at risk"),
        ),
    ),
)

_CALLS: Final = Section(
    title="Calls",
    panels=(
        graph(
            "Open calls",
            "Without an end, of which a node is a replica: each call counts at every node that has "
            "a copy.",
            Unit.COUNT,
            Query(expression=gauge("sipfarm_open_calls"), legend="{{node}}"),
            width=8,
        ),
        graph(
            "Calls closed by the farm",
            "Their BYE never came. Deleted: calls that are older than they are to be kept.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_calls_closed_total"), legend="closed"),
            Query(expression=rate("sipfarm_calls_deleted_total"), legend="deleted"),
            width=8,
        ),
        graph(
            "Signed blocks",
            "Each vouches for the call events of some seconds. A failed try is repeated.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_blocks_signed_total"), legend="signed"),
            Query(expression=rate("sipfarm_block_failures_total"), legend="failed"),
            width=8,
        ),
    ),
)

_EXPORT: Final = Section(
    title="Export",
    panels=(
        graph(
            "Rows that sinks took",
            "Over all nodes. A call is exported once, by one node.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_export_rows_total", "sink"), legend="{{sink}}"),
        ),
        graph(
            "How far export is behind",
            "Of the call that waits the longest: seconds since its last event.",
            Unit.SECONDS,
            Query(
                expression=f"max by (sink) ({gauge('sipfarm_export_lag_seconds')})",
                legend="{{sink}}",
            ),
            marks=thresholds.EXPORT_LAG_S,
            alerts=("SipfarmExportStuck",),
        ),
        graph(
            "Calls that a sink may lack",
            "That the nodes have to look at.",
            Unit.COUNT,
            Query(expression=total("sipfarm_export_backlog_calls", "sink"), legend="{{sink}}"),
        ),
        graph(
            "Failed tries",
            "At giving a sink rows. They are repeated, and no row is lost.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_export_failures_total", "sink"), legend="{{sink}}"),
            marks=thresholds.NEVER,
        ),
    ),
)

BOARD: Final = Board(
    name="billing",
    title="sipfarm: billing",
    text="Whether the record of every call is safe, signed and exported.",
    nodes=Nodes.SOME,
    sections=(_SAFE, _CALLS, _EXPORT),
)
