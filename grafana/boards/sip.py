"""SIP quality, as far as today's figures tell: calls, registrations, look-ups, refusals."""

from typing import Final

from grafana import thresholds
from grafana.board import Board, Nodes, Query, Section, Unit, graph, note, number
from grafana.promql import gauge, quantile, rate, seen

_REPLIES: Final = "kamailio_core_rcv_reply_method_total"
_ANSWERS: Final = rate(_REPLIES, labels='method="invite", class!="1xx"')


def _share(part: str, whole: str) -> str:
    """Nothing where nothing was asked for."""
    return f"{part} / ({whole} > 0)"


_REGISTERS: Final = " + ".join(
    rate(f"sipfarm_proxy_registers_{outcome}_total") for outcome in ("done", "refused", "failed")
)

_CALLS: Final = Section(
    title="Calls",
    panels=(
        note(
            "What these figures are not",
            "They come from Kamailio's statistics, which count **messages**: an answer that passes "
            "two nodes counts at both, and each phone of a fork answers for itself. So they show "
            "*changes*. The rates of RFC 6076 (SER, SEER, ISA) and ASR count each call once, and "
            "its delays (SRD, SDD) need the time of each: sipfarm does not measure them yet.",
        ),
        graph(
            "Answers to INVITE by class",
            "Final answers that Kamailio received from phones, carriers and other nodes. 4xx are "
            "mostly phones that are busy or do not answer; 5xx should be rare.",
            Unit.PER_SECOND,
            Query(
                expression=seen(_REPLIES, "class", 'method="invite", class!="1xx"'),
                legend="{{class}}",
            ),
            is_stacked=True,
            alerts=("SipfarmCallsFailing", "SipfarmCallsFailingSlowly"),
        ),
        graph(
            "Share of INVITEs answered with 2xx, and with 5xx or 6xx",
            "Of all final answers. Look for what differs from yesterday.",
            Unit.SHARE,
            Query(
                expression=_share(rate(_REPLIES, labels='method="invite", class="2xx"'), _ANSWERS),
                legend="2xx",
            ),
            Query(
                expression=_share(
                    rate(_REPLIES, labels='method="invite", class=~"5xx|6xx"'), _ANSWERS
                ),
                legend="5xx and 6xx",
            ),
        ),
        graph(
            "Calls begun, ended, tried in vain",
            "By the events that the nodes wrote, each once: START, STOP, ATTEMPT, and CLOSED for "
            "those whose BYE never came.",
            Unit.PER_SECOND,
            Query(
                expression=rate(
                    "sipfarm_call_events_total", "kind", 'kind=~"START|STOP|ATTEMPT|CLOSED"'
                ),
                legend="{{kind}}",
            ),
        ),
        graph(
            "Requests that could not be delivered",
            "Not sent: the next hop cannot be resolved or reached. Flow gone: the connection by "
            "which a phone can be reached was closed. Gateway failed: the next one was tried.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_proxy_forward_failed_total"), legend="not sent"),
            Query(expression=rate("sipfarm_proxy_flows_broken_total"), legend="flow gone"),
            Query(expression=rate("sipfarm_proxy_gateways_failed_total"), legend="gateway failed"),
            alerts=("SipfarmPhonesUnreachable", "SipfarmPhonesUnreachableSlowly"),
        ),
        graph(
            "Gateways of carriers",
            "Whether each answers OPTIONS: 1 if it does for all chosen nodes, 0 if for none.",
            Unit.SHARE,
            Query(
                expression=f"avg by (trunk, gateway) ({gauge('sipfarm_gateway_up')})",
                legend="{{trunk}}: {{gateway}}",
            ),
            alerts=("SipfarmGatewayDown", "SipfarmTrunkDown"),
        ),
        graph(
            "Calls by way of carriers",
            "Requests sent to a trunk, those for an emergency number among them, and requests that "
            "a carrier sent.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_proxy_trunk_calls_total"), legend="to a trunk"),
            Query(
                expression=rate("sipfarm_proxy_emergency_calls_total"), legend="of these emergency"
            ),
            Query(expression=rate("sipfarm_proxy_trunk_calls_in_total"), legend="from a carrier"),
        ),
    ),
)

_REGISTRATIONS: Final = Section(
    title="Registrations",
    panels=(
        number(
            "REGISTERs that succeed",
            "Of all that had proven who sent them. Refused are those that ask for what the farm "
            "does not allow.",
            Unit.SHARE,
            _share(rate("sipfarm_proxy_registers_done_total"), f"({_REGISTERS})"),
            width=6,
        ),
        number(
            "REGISTERs that fail",
            "Without an answer of the daemon in time, or with too few replicas.",
            Unit.SHARE,
            _share(rate("sipfarm_proxy_registers_failed_total"), f"({_REGISTERS})"),
            marks=thresholds.REFUSED_SHARE,
            width=6,
            alerts=("SipfarmRegistrationsFailing", "SipfarmRegistrationsFailingSlowly"),
        ),
        number(
            "Wrong passwords",
            "Of all challenged requests. Many at a time are somebody who guesses.",
            Unit.SHARE,
            _share(
                rate("sipfarm_proxy_auth_failures_total"),
                rate("sipfarm_proxy_auth_challenges_total"),
            ),
            marks=thresholds.REFUSED_SHARE,
            width=6,
        ),
        number(
            "Time of a registration",
            "In the daemon: 99 of 100 took at most so long, replicas included.",
            Unit.SECONDS,
            quantile(0.99, "sipfarm_control_request_duration_seconds", "", 'request="Register"'),
            marks=thresholds.CONTROL_S,
            width=6,
        ),
        graph(
            "REGISTERs by outcome",
            "What the nodes made of them.",
            Unit.REQUESTS_PER_SECOND,
            Query(expression=rate("sipfarm_proxy_registers_done_total"), legend="done"),
            Query(expression=rate("sipfarm_proxy_registers_refused_total"), legend="refused"),
            Query(expression=rate("sipfarm_proxy_registers_failed_total"), legend="failed"),
            alerts=("SipfarmRegistrationsFailing", "SipfarmRegistrationsFailingSlowly"),
        ),
        graph(
            "Who proves who they are",
            "Challenges are normal: a phone answers one. Stale: the nonce was too old, and the "
            "phone is asked again. Failures: a wrong password, or an unknown user.",
            Unit.REQUESTS_PER_SECOND,
            Query(expression=rate("sipfarm_proxy_auth_challenges_total"), legend="challenges"),
            Query(expression=rate("sipfarm_proxy_auth_stale_total"), legend="stale"),
            Query(expression=rate("sipfarm_proxy_auth_failures_total"), legend="failures"),
        ),
    ),
)

_WAYS: Final = Section(
    title="Finding phones",
    panels=(
        graph(
            "Look-ups of a called phone",
            "Hot: found in the node's own cache. Cold: the daemon was asked. Failed: no answer in "
            "time, so the caller heard 5xx.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_proxy_lookups_hot_total"), legend="hot"),
            Query(expression=rate("sipfarm_proxy_lookups_cold_total"), legend="cold"),
            Query(expression=rate("sipfarm_proxy_lookups_failed_total"), legend="failed"),
            alerts=("SipfarmPhonesUnreachable", "SipfarmPhonesUnreachableSlowly"),
        ),
        graph(
            "Requests between nodes",
            "Handed over: sent to the node that holds the phone's connection. Delivered: put on "
            "it. Detours: the connection was gone, and the request went to where the phone is now.",
            Unit.REQUESTS_PER_SECOND,
            Query(expression=rate("sipfarm_proxy_handed_over_total"), legend="handed over"),
            Query(expression=rate("sipfarm_proxy_flows_delivered_total"), legend="delivered"),
            Query(expression=rate("sipfarm_proxy_detours_total"), legend="detours"),
        ),
        graph(
            "Connections that were not to be",
            "TCP, TLS and WebSocket.",
            Unit.PER_SECOND,
            Query(expression=rate("kamailio_tcp_connect_failed_total"), legend="not opened"),
            Query(expression=rate("kamailio_tcp_con_reset_total"), legend="reset"),
            Query(expression=rate("kamailio_tcp_send_timeout_total"), legend="send timeout"),
            Query(expression=rate("kamailio_tcp_sendq_full_total"), legend="too much waiting"),
        ),
        graph(
            "Messages that nobody can read",
            "Malformed requests, and messages with a URI or a field that Kamailio cannot parse.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_proxy_malformed_total"), legend="malformed"),
            Query(expression=rate("kamailio_core_bad_uris_rcvd_total"), legend="bad URI"),
            Query(expression=rate("kamailio_core_bad_msg_hdr_total"), legend="bad field"),
        ),
    ),
)

BOARD: Final = Board(
    name="sip",
    title="sipfarm: SIP quality",
    text="Calls, registrations and how phones are found, as Kamailio's statistics tell.",
    nodes=Nodes.SOME,
    sections=(_CALLS, _REGISTRATIONS, _WAYS),
)
