"""One node: its services, its load, what it uses of its machine."""

from typing import Final

from grafana import thresholds
from grafana.board import Board, Nodes, Panel, Query, Section, Unit, graph, number
from grafana.promql import gauge, quantile, rate, seen, total


def _whether(title: str, text: str, metric: str, alert: str) -> Panel:
    expression = f"max({gauge(metric)})"
    return number(
        title,
        text,
        Unit.YES_OR_NO,
        expression,
        marks=thresholds.MUST_BE_THERE,
        alerts=(alert,),
    )


_SERVICES: Final = Section(
    title="Its services",
    panels=(
        _whether(
            "The node answers",
            "Whether Prometheus reached it at its last scrape.",
            "up",
            "SipfarmNodeDown",
        ),
        _whether(
            "Kamailio answers",
            "Whether Kamailio tells its statistics. While it does not, the node is not in DNS.",
            "sipfarm_kamailio_up",
            "SipfarmKamailioDown",
        ),
        _whether(
            "Redis can be used",
            "Without its cache the node serves calls more slowly, by asking the daemon.",
            "sipfarm_redis_up",
            "SipfarmRedisDown",
        ),
        _whether(
            "Disk takes commits",
            "Whether the last commit succeeded. If not, the node takes no call events.",
            "sipfarm_disk_ok",
            "SipfarmDiskFailing",
        ),
        number(
            "The daemon runs for",
            "Since its last start.",
            Unit.SECONDS,
            f"time() - max({gauge('process_start_time_seconds')})",
            alerts=("SipfarmRestarting",),
        ),
        number(
            "Certificate expires in",
            "The node renews it by itself while the enrollment service runs.",
            Unit.SECONDS,
            f"max({gauge('sipfarm_certificate_expiry_timestamp_seconds')}) - time()",
            marks=thresholds.CERTIFICATE_LEFT_S,
            alerts=("SipfarmCertificateExpiring",),
        ),
    ),
)

_LOAD: Final = Section(
    title="Its load",
    panels=(
        graph(
            "Requests by method",
            "Requests that Kamailio received.",
            Unit.REQUESTS_PER_SECOND,
            Query(
                expression=seen("kamailio_core_rcv_request_total", "method"), legend="{{method}}"
            ),
            is_stacked=True,
        ),
        graph(
            "Replies that Kamailio itself gave",
            "Registrations, challenges and refusals. What it only passed on is not among them.",
            Unit.REQUESTS_PER_SECOND,
            Query(expression=seen("kamailio_sl_reply_total", "code"), legend="{{code}}"),
        ),
        graph(
            "What became of requests",
            "Received, of these forwarded; dropped on purpose (floods, retransmissions, events "
            "that are not safe yet) or failed.",
            Unit.REQUESTS_PER_SECOND,
            Query(expression=rate("kamailio_core_request_total", "fate"), legend="{{fate}}"),
        ),
        graph(
            "Too much, or unwanted",
            "Shed: the node was behind with its work. Floods: an address sent too many requests. "
            "Scanners: programs that look for open servers. Locked out: passwords were guessed.",
            Unit.REQUESTS_PER_SECOND,
            Query(expression=rate("sipfarm_proxy_shed_total"), legend="shed"),
            Query(expression=rate("sipfarm_proxy_floods_total"), legend="floods"),
            Query(expression=rate("sipfarm_proxy_scanners_total"), legend="scanners"),
            Query(expression=rate("sipfarm_proxy_locked_out_total"), legend="locked out"),
            alerts=("SipfarmOverloaded",),
        ),
        graph(
            "How long the daemon takes to answer the proxy",
            "99 of 100 questions of each kind took at most so long. A request waits for its "
            "answer.",
            Unit.SECONDS,
            Query(
                expression=quantile(0.99, "sipfarm_control_request_duration_seconds", "request"),
                legend="{{request}}",
            ),
            marks=thresholds.CONTROL_S,
        ),
        graph(
            "Connections",
            "Open TCP connections of phones and other servers, those of TLS and WebSocket "
            "included; of these WebSockets; links to other nodes.",
            Unit.COUNT,
            Query(expression=total("kamailio_tcp_connections"), legend="TCP"),
            Query(
                expression=total("kamailio_websocket_current_connections"),
                legend="of these WebSocket",
            ),
            Query(expression=total("sipfarm_links"), legend="links to nodes"),
        ),
    ),
)

_MACHINE: Final = Section(
    title="What it uses of its machine",
    panels=(
        graph(
            "Processor time of the daemon",
            "Seconds a second: 1 is one core. Kamailio's is not in it.",
            Unit.SHARE,
            Query(expression=rate("process_cpu_seconds_total"), legend="daemon"),
            width=8,
        ),
        graph(
            "Memory of the daemon",
            "Resident: what it occupies of the machine.",
            Unit.BYTES,
            Query(expression=total("process_resident_memory_bytes"), legend="resident"),
            width=8,
        ),
        graph(
            "Open files of the daemon",
            "Share of those that it may open.",
            Unit.SHARE,
            Query(
                expression=f"{total('process_open_fds')} / {total('process_max_fds')}",
                legend="open",
            ),
            marks=thresholds.OPEN_FILES,
            width=8,
            alerts=("SipfarmDescriptorsLow",),
        ),
        graph(
            "Shared memory of Kamailio",
            "Share that is used, and the most that ever was. Kamailio refuses requests when none "
            "is left.",
            Unit.SHARE,
            Query(
                expression=f"{total('kamailio_shm_real_used_bytes')}"
                f" / {total('kamailio_shm_total_bytes')}",
                legend="used",
            ),
            Query(
                expression=f"{total('kamailio_shm_max_used_bytes')}"
                f" / {total('kamailio_shm_total_bytes')}",
                legend="most ever",
            ),
            marks=thresholds.SHARED_MEMORY,
            width=8,
            alerts=("SipfarmMemoryLow",),
        ),
        graph(
            "Free disk space",
            "Where the data directory is.",
            Unit.BYTES,
            Query(expression=total("sipfarm_disk_free_bytes"), legend="free"),
            marks=thresholds.DISK_FREE_BYTES,
            width=8,
            alerts=("SipfarmDiskFull",),
        ),
        graph(
            "Rows written to disk",
            "Call events and subscribers. Many rows of one commit share one wait for the disk.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_committed_rows_total"), legend="rows"),
            Query(expression=rate("sipfarm_commits_total"), legend="commits"),
            width=8,
        ),
    ),
)

BOARD: Final = Board(
    name="node",
    title="sipfarm: a node",
    text="The services of one node, its load, and what it uses of its machine.",
    nodes=Nodes.ONE,
    sections=(_SERVICES, _LOAD, _MACHINE),
)
