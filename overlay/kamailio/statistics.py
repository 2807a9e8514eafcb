"""Which of Kamailio's statistics are shown, under which name, and whether as counter or gauge.

In: nothing. Out: a table from a statistic's name (`group:name`, as `stats.get_statistics` gives it)
to its family and label values. Counterparts: `kamailio/figures.py` asks for the statistics and
shows them; `proxy/counters.py` names the counters of the routes. Kamailio itself does not say which
statistics are counters. So the table says it, and a test compares that with how they change under
load.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from overlay.observe.metric_families import Family, Kind, Label, Unit


@dataclass(frozen=True, kw_only=True)
class Shown:
    """How a statistic is shown."""

    family: Family
    values: tuple[str, ...] = ()
    """Values of the family's labels."""


Table = Mapping[str, Shown]

_METHODS: Final = (
    "ack",
    "bye",
    "cancel",
    "info",
    "invite",
    "message",
    "notify",
    "options",
    "prack",
    "publish",
    "refer",
    "register",
    "subscribe",
    "update",
)
_REPLIED_METHODS: Final = {
    "bye": "bye",
    "cancel": "cancel",
    "invite": "invite",
    "message": "message",
    "prack": "prack",
    "refer": "refer",
    "reg": "register",
    "update": "update",
}
_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "6xx")
_CODES: Final = ("18x", "401", "404", "407", "480", "486")
_SENT_CODES: Final = (
    "200",
    "202",
    "300",
    "301",
    "302",
    "400",
    "401",
    "403",
    "404",
    "407",
    "408",
    "483",
    "500",
)
_FATES: Final = {"rcv": "received", "fwd": "forwarded", "drop": "dropped", "err": "failed"}

_FATE: Final = Label(name="fate", text="what became of them", values=tuple(sorted(_FATES.values())))
_METHOD: Final = Label(
    name="method",
    text="the method, or `unsupported`: none of those that Kamailio knows",
    values=(*_METHODS, "unsupported"),
)
_CLASS: Final = Label(name="class", text="of the status code", values=_CLASSES)


def _one_by_one(
    group: str, prefix: str, kind: Kind, texts: Mapping[str, str]
) -> Iterator[tuple[str, Shown]]:
    """Statistics without labels: each is a family of its own."""
    for name, text in texts.items():
        stem = f"{prefix}_{name.lower().removeprefix('ws_')}"
        family = Family(
            name=f"{stem}_total" if kind is Kind.COUNTER else stem, kind=kind, text=text
        )
        yield f"{group}:{name}", Shown(family=family)


def _labelled(
    family: Family, statistics: Iterable[tuple[str, tuple[str, ...]]]
) -> Iterator[tuple[str, Shown]]:
    """Statistics that are series of one family."""
    for statistic, values in statistics:
        yield statistic, Shown(family=family, values=values)


def _core() -> Iterator[tuple[str, Shown]]:
    yield from _labelled(
        Family(
            name="kamailio_core_request_total",
            kind=Kind.COUNTER,
            text="Requests, by what became of them; what was forwarded, dropped or failed was "
            "received as well",
            labels=(_FATE,),
        ),
        ((f"core:{part}_requests", (fate,)) for part, fate in _FATES.items()),
    )
    yield from _labelled(
        Family(
            name="kamailio_core_reply_total",
            kind=Kind.COUNTER,
            text="Replies, by what became of them; what was forwarded, dropped or failed was "
            "received as well",
            labels=(_FATE,),
        ),
        ((f"core:{part}_replies", (fate,)) for part, fate in _FATES.items()),
    )
    received = [(f"core:rcv_requests_{method}", (method,)) for method in _METHODS]
    yield from _labelled(
        Family(
            name="kamailio_core_rcv_request_total",
            kind=Kind.COUNTER,
            text="Requests received, by method",
            labels=(_METHOD,),
        ),
        [*received, ("core:unsupported_methods", ("unsupported",))],
    )
    yield from _labelled(
        Family(
            name="kamailio_core_rcv_reply_total",
            kind=Kind.COUNTER,
            text="Replies received, by class",
            labels=(_CLASS,),
        ),
        ((f"core:rcv_replies_{each}", (each,)) for each in _CLASSES),
    )
    yield from _labelled(
        Family(
            name="kamailio_core_rcv_reply_code_total",
            kind=Kind.COUNTER,
            text="Of the replies received, those with some status codes",
            labels=(
                Label(name="code", text="the status code; `18x` is 180 to 189", values=_CODES),
            ),
        ),
        ((f"core:rcv_replies_{code}", (code,)) for code in _CODES),
    )
    yield from _labelled(
        Family(
            name="kamailio_core_rcv_reply_method_total",
            kind=Kind.COUNTER,
            text="Of the replies received, those to requests of some methods",
            labels=(
                _CLASS,
                Label(
                    name="method",
                    text="the request's method",
                    values=tuple(_REPLIED_METHODS.values()),
                ),
            ),
        ),
        (
            (f"core:rcv_replies_{each}_{short}", (each, method))
            for each in _CLASSES
            for short, method in _REPLIED_METHODS.items()
        ),
    )
    texts = {
        "bad_URIs_rcvd": "Messages with a URI that cannot be parsed",
        "bad_msg_hdr": "Messages with a header field that cannot be parsed",
    }
    yield from _one_by_one("core", "kamailio_core", Kind.COUNTER, texts)


def _replies_sent() -> Iterator[tuple[str, Shown]]:
    others = (*_CLASSES, "xxx")
    yield from _labelled(
        Family(
            name="kamailio_sl_reply_total",
            kind=Kind.COUNTER,
            text="Replies that Kamailio itself gave, by status code",
            labels=(
                Label(
                    name="code",
                    text="the status code; a class stands for all of it that have no value of "
                    "their own, `xxx` for codes of no class",
                    values=(*_SENT_CODES, *others),
                ),
            ),
        ),
        ((f"sl:{code}_replies", (code,)) for code in (*_SENT_CODES, *others)),
    )
    texts = {
        "sent_replies": "Replies that Kamailio itself gave",
        "sent_err_replies": "Of those, the ones that tell of an error in Kamailio",
        "failures": "Replies that Kamailio could not give",
        "received_ACKs": "ACKs to the final replies that Kamailio itself gave",
    }
    yield from _one_by_one("sl", "kamailio_sl", Kind.COUNTER, texts)


def _transport() -> Iterator[tuple[str, Shown]]:
    texts = {
        "con_reset": "TCP connections that the other end reset",
        "con_timeout": "TCP connections closed as they were idle for too long",
        "connect_failed": "Failed tries at opening a TCP connection",
        "connect_success": "TCP connections that Kamailio opened",
        "established": "TCP connections established, by either end",
        "local_reject": "TCP connections that Kamailio rejected",
        "passive_open": "TCP connections that Kamailio accepted",
        "send_timeout": "Messages not sent over TCP, as that took too long",
        "sendq_full": "Messages not sent over TCP, as too much was waiting",
    }
    yield from _one_by_one("tcp", "kamailio_tcp", Kind.COUNTER, texts)
    yield (
        "tcp:current_opened_connections",
        Shown(
            family=Family(
                name="kamailio_tcp_connections",
                kind=Kind.GAUGE,
                text="TCP connections that are open, those of TLS and WebSocket included",
            )
        ),
    )
    yield (
        "tcp:current_write_queue_size",
        Shown(
            family=Family(
                name="kamailio_tcp_write_queue_bytes",
                kind=Kind.GAUGE,
                text="What waits to be sent over TCP",
                unit=Unit.BYTES,
            )
        ),
    )
    texts = {
        "ws_failed_connections": "WebSocket connections that failed",
        "ws_failed_handshakes": "WebSocket handshakes that failed",
        "ws_local_closed_connections": "WebSocket connections that Kamailio closed",
        "ws_remote_closed_connections": "WebSocket connections that the other end closed",
        "ws_received_frames": "WebSocket frames received",
        "ws_transmitted_frames": "WebSocket frames sent",
        "ws_successful_handshakes": "WebSocket handshakes that succeeded",
    }
    yield from _one_by_one("websocket", "kamailio_websocket", Kind.COUNTER, texts)
    texts = {
        "ws_current_connections": "WebSocket connections that are open",
        "ws_max_concurrent_connections": "The most WebSocket connections that were open at a time",
    }
    yield from _one_by_one("websocket", "kamailio_websocket", Kind.GAUGE, texts)


def _resources() -> Iterator[tuple[str, Shown]]:
    sizes = {
        "free": "Shared memory that is free",
        "used": "Shared memory that is used",
        "real_used": "Shared memory that is used, with what managing it takes",
        "max_used": "The most shared memory that was ever used, with what managing it takes",
        "total": "All shared memory",
    }
    for name, text in sizes.items():
        yield (
            f"shmem:{name}_size",
            Shown(
                family=Family(
                    name=f"kamailio_shm_{name}_bytes", kind=Kind.GAUGE, text=text, unit=Unit.BYTES
                )
            ),
        )
    fragments = {"fragments": "Free pieces of shared memory"}
    yield from _one_by_one("shmem", "kamailio_shm", Kind.GAUGE, fragments)
    texts = {
        "failed_dns_request": "DNS look-ups that failed",
        "slow_dns_request": "DNS look-ups that took too long",
    }
    yield from _one_by_one("dns", "kamailio_dns", Kind.COUNTER, texts)
    # This statistic only counts upwards, whatever its name says.
    blocked = {
        "blocked_ips": "How often an address began to be blocked, as it sent too many requests"
    }
    yield from _one_by_one("pike", "kamailio_pike", Kind.COUNTER, blocked)


ROUTES: Final = {
    "auth_challenges": "Requests challenged to prove who sent them",
    "auth_failures": "Requests with a wrong password, or of an unknown user",
    "auth_stale": "Challenges because the nonce was too old, another node's, or used before",
    "auth_unknown": "Of the failures, those of unknown users",
    "cache_failed": "Questions to which Redis gave no answer, or one that cannot be read",
    "calls_at_risk": "INVITEs served while no call event could be written",
    "calls_refused": "INVITEs answered 503 while no call event could be written",
    "claims_failed": "INVITEs let pass although nobody could tell how many calls their subscriber "
    "has",
    "daemon_failed": "Questions to which the daemon gave no answer or refused, or that it was not "
    "asked as it had just failed",
    "detours": "Requests in dialogs whose flow was gone, and that went to where the phone is now",
    "dropped_for_retry": "UDP requests dropped so that the retransmission finds an answer",
    "emergency_calls": "Of the requests sent to a trunk, those for an emergency number",
    "events_dropped": "Messages held back because their event could not be made safe",
    "events_repeated": "Retransmissions whose event the worker knew to be safe",
    "events_written": "Call events written",
    "floods": "Requests dropped as their address sent too many",
    "flows_broken": "Of the requests handed over by another node, those whose flow was gone",
    "flows_delivered": "Requests handed over by another node and put on their flow",
    "flows_replaced": "Failed flows for which another one of the same device was tried",
    "forward_failed": "Requests that could not be sent on",
    "gateways_failed": "Tries at a gateway after which the next one was tried",
    "groups_tried": "Groups of phones with a lower q that rang, as nobody had answered before",
    "handed_over": "Requests sent to the node that holds the flow",
    "identities_refused": "Requests with the credentials of one subscriber in the name of another",
    "identities_removed": "P-Asserted-Identity fields removed: of senders that are not trusted, or "
    "that wanted privacy",
    "locked_out": "Requests of senders that had guessed too many passwords before",
    "lookups_cold": "Look-ups of a target that the daemon answered, whatever the answer",
    "lookups_failed": "Look-ups of a target without an answer in time",
    "lookups_hot": "Targets found in Redis",
    "malformed": "Requests refused as they are malformed",
    "media_failed": "Session descriptions that no RTP relay took",
    "media_relayed": "Session descriptions that lead through an RTP relay",
    "nat_pings": "OPTIONS sent to phones behind a NAT, to keep it open",
    "nat_pongs": "Answers to those OPTIONS",
    "nat_silent": "Phones that had answered such OPTIONS and then missed three",
    "notes_refused": "Record-Routes whose note of the call is not what the farm wrote",
    "oversized": "Messages with too long a header field, and requests that are too large",
    "policy_blocked": "Requests of blocked subscribers",
    "policy_calls": "INVITEs above their subscriber's calls at a time",
    "policy_destinations": "Requests to where their subscriber may not call",
    "policy_rates": "INVITEs above their subscriber's calls a second",
    "python_errors": "Errors in the routing script that nobody expected",
    "registers_done": "REGISTERs that succeeded",
    "registers_failed": "REGISTERs without an answer in time, or for which too few replicas were "
    "there",
    "registers_refused": "REGISTERs that were refused",
    "relay_refused": "Requests to other domains by nobody of the farm's",
    "scanners": "Requests of programs that look for open servers",
    "sessions_too_short": "INVITEs refused with 422, as their session would end too early",
    "shed": "New requests refused as the node was behind with its work",
    "sources_full": "Requests and flows beyond what the node remembers for one address",
    "transactions": "Requests sent on with a transaction",
    "trunk_calls": "Requests sent to a trunk",
    "trunk_calls_in": "Requests that a carrier sent",
    "trunks_refused": "Challenges of carriers that could not be answered",
    "websockets_opened": "WebSocket connections opened",
    "websockets_refused": "HTTP requests on connections that did not become a WebSocket",
}
"""The counters that `proxy/counters.py` names: Kamailio's group `sipfarm`."""

TABLE: Final[Table] = {
    **dict(_one_by_one("sipfarm", "sipfarm_proxy", Kind.COUNTER, ROUTES)),
    **dict(_core()),
    **dict(_replies_sent()),
    **dict(_transport()),
    **dict(_resources()),
}
LEFT_OUT: Final = ("websocket:ws_sip_", "websocket:ws_msrp_")
"""The beginnings of the names of statistics that are not shown. A node serves only SIP on
WebSocket, so the statistics of all WebSockets say the same."""
FAMILIES: Final = tuple({shown.family.name: shown.family for shown in TABLE.values()}.values())
