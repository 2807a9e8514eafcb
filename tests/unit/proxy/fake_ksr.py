"""A fake Kamailio: takes a message, and writes down what the routes did with it.

In: a `Message` made by a test. Out: `FakeKsr.done`, the actions in order, and the fields that they
changed. Counterparts: `proxy.ksr.Ksr`, whose protocols it fills; `ksr_api.py`, which refuses calls
that the real module would not take.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from proxy import sip_uri
from proxy.ksr import Ksr
from tests.unit.proxy import ksr_api


@dataclass
class Message:
    """A SIP message, taken apart."""

    method: str = "INVITE"
    status: int = 0
    request_uri: str = "sip:bob@farm.test"
    from_uri: str = "sip:alice@farm.test"
    from_tag: str = "ft"
    to_uri: str = "sip:bob@farm.test"
    to_tag: str = ""
    call_id: str = "call-1"
    cseq: int = 1
    fields: dict[str, list[str]] = field(
        default_factory=lambda: {"Contact": ["<sip:alice@192.0.2.10:5060>"]}
    )
    vias: int = 1
    source: tuple[str, int] = ("192.0.2.10", 5060)
    protocol: str = "udp"
    user_agent: str = "phone"
    length: int = 700
    readable: bool = True
    """Whether Kamailio understands the Request-URI."""
    promised: int | None = 0
    body_length: int = 0
    raw: bytes = b""
    """The message as it came; empty for one that is as the rest says."""

    def as_bytes(self) -> bytes:
        """The message as Kamailio has it."""
        if self.raw:
            return self.raw
        first = f"{self.method} {self.request_uri} SIP/2.0"
        lines = [
            f"SIP/2.0 {self.status} Reason" if self.status else first,
            *(f"Via: SIP/2.0/UDP 192.0.2.{each};branch=z9hG4bK" for each in range(self.vias)),
            f"From: <{self.from_uri}>;tag={self.from_tag}",
            f"To: <{self.to_uri}>" + (f";tag={self.to_tag}" if self.to_tag else ""),
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {self.method}",
            *(f"{name}: {value}" for name, values in self.fields.items() for value in values),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


_TABLES_OF_NUMBERS = frozenset({"pins", "used", "rates"})
"""Their values where there are none are 0."""


def _user_of(uri: str) -> str:
    return uri.partition(":")[2].partition("@")[0] if "@" in uri else ""


@dataclass
class FakeKsr:
    """Kamailio, as the routes see it."""

    message: Message = field(default_factory=Message)
    redis: dict[str, str] = field(default_factory=dict)
    redis_is_up: bool = True
    tables: dict[tuple[str, str], str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    sane: bool = True
    hops: int = 1
    forward_result: int = 1
    transaction: int = -1
    branch: int = 0
    canceled: bool = False
    flooded: bool = False
    done: list[Any] = field(default_factory=list)
    failure_routes: list[str] = field(default_factory=list)
    """Who is told when a transaction ends without success."""
    reply_fields: list[str] = field(default_factory=list)
    inserted: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    next_hop: str | None = None
    dropped: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    timed_out: bool = False
    rang: bool = False
    unreachable: set[str] = field(default_factory=set)
    """Next hops to which nothing can be sent."""
    sent: list[tuple[str, str]] = field(default_factory=list)
    """Datagrams, each with where it went."""
    _redis_answer: str | None = None
    _items: list[tuple[str, str]] = field(default_factory=list)
    _item: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        get = SimpleNamespace
        self.kx = get(
            get_method=lambda: self.message.method,
            get_status=lambda: self.message.status,
            get_callid=lambda: self.message.call_id,
            get_rhost=lambda: sip_uri.host_of(self.message.request_uri) or None,
            get_ruser=lambda: _user_of(self.message.request_uri) or None,
            get_fhost=lambda: sip_uri.host_of(self.message.from_uri) or None,
            get_fuser=lambda: _user_of(self.message.from_uri) or None,
            get_thost=lambda: sip_uri.host_of(self.message.to_uri) or None,
            get_tuser=lambda: _user_of(self.message.to_uri) or None,
            gete_ua=lambda: self.message.user_agent,
            get_ruri=lambda: self.message.request_uri if self.message.readable else None,
            get_duri=lambda: self.next_hop,
            get_srcip=lambda: self.message.source[0],
            get_srcport=lambda: self.message.source[1],
            get_proto=lambda: self.message.protocol,
            get_msglen=lambda: len(self.message.raw) or self.message.length,
            get_msgbuf=lambda: self.message.as_bytes().decode(),
        )
        self.pv = get(get=self._pv, sets=self._set_pv)
        self.hdr = get(
            get_idx=self._get_idx,
            insert=lambda text: self.inserted.append(text) or 1,
            is_present=lambda name: 1 if self.message.fields.get(name) else -1,
            append=lambda text: self.inserted.append(text) or 1,
            remove=lambda name: 1 if self.message.fields.pop(name, None) else -1,
            append_to_reply=lambda text: self.reply_fields.append(text) or 1,
        )
        self.sl = get(sl_send_reply=lambda code, reason: self.done.append(code) or 1)
        self.sanity = get(sanity_check=lambda _m, _u: 1 if self.sane else -1)
        self.maxfwd = get(process_maxfwd=lambda _limit: self.hops)
        self.siputils = get(has_totag=lambda: 1 if self.message.to_tag else -1)
        self.rr = get(loose_route_mode=self._loose_route)
        self.htable = get(
            sht_get=self._sht_get,
            sht_sets=self._sht_sets,
            sht_inc=self._sht_inc,
            sht_setxs=self._sht_setxs,
            sht_iterator_start=self._iterate,
            sht_iterator_next=lambda _name: self._next_item(),
            sht_iterator_end=lambda _name: 1,
            sht_rm=lambda table, key: 1 if self.tables.pop((table, key), None) else -1,
        )
        self.ndb_redis = get(redis_cmd_p1=self._redis)
        self.counters = get(inc=self._count)
        self.tm = get(
            t_check_trans=lambda: self.transaction,
            t_relay=self._t_relay,
            t_set_fr=lambda invite_ms, any_ms: self.done.append(("fr", invite_ms, any_ms)) or 1,
            t_branch_timeout=lambda: 1 if self.timed_out else -1,
            t_branch_replied=lambda: 1 if self.rang else -1,
            t_on_branch=lambda _route: 1,
            t_on_branch_failure=lambda route: self.done.append(route) or 1,
            t_on_failure=lambda route: self.failure_routes.append(route) or 1,
            t_reply=lambda code, reason: self.done.append((code, reason)) or 1,
            t_get_status_code=lambda: self.message.status,
            t_get_branch_index=lambda: self.branch,
            t_is_canceled=lambda: 1 if self.canceled else -1,
        )
        self.pike = get(pike_check_req=lambda: -2 if self.flooded else 1)
        self.uac = get(uac_auth=self._uac_auth)
        self.tcpops = get(
            tcp_set_connection_lifetime=lambda s: self.done.append(("connection ends", s)) or 1
        )
        self.corex = get(
            append_branch_uri=lambda uri: self.done.append(("branch", uri)) or 1,
            send_data=lambda uri, text: self.sent.append((uri, text)) or 1,
        )
        self.kex = get(setdebug=lambda level: self.done.append(("setdebug", level)) or 1)
        self.textops = get(remove_hf_idx=self._remove)
        for module, functions in vars(self).items():
            if isinstance(functions, SimpleNamespace):
                for name, function in vars(functions).items():
                    setattr(functions, name, ksr_api.guarded(f"{module}.{name}", function))

    @property
    def ksr(self) -> Ksr:
        """This, as the type checker wants it."""
        checked: Any = self
        return checked

    def next_message(self, method: str) -> None:
        """Another message of the same transaction has come, as the phone sends it."""
        self.message.method = method
        self.message.request_uri = Message.request_uri
        self.next_hop = None
        self.done.clear()
        self.inserted.clear()

    def is_UDP(self) -> bool:
        return self.message.protocol == "udp"

    def isdsturiset(self) -> bool:
        return self.next_hop is not None

    def setdsturi(self, uri: str) -> bool:
        self.next_hop = uri
        return True

    def seturi(self, uri: str) -> bool:
        self.message.request_uri = uri
        return True

    def forward(self) -> int:
        self.done.append("forward" if self.forward_result > 0 else "forward failed")
        return self.forward_result

    def force_rport(self) -> int:
        self.done.append("rport")
        return 1

    def set_drop(self) -> None:
        self.dropped = True

    def set_forward_no_connect(self) -> bool:
        self.done.append("no connect")
        return True

    def crit(self, text: str) -> None:
        self.log.append(text)

    def _pv(self, name: str) -> Any:
        if name.startswith("$_s("):
            found = [self.pv.get(each) for each in name[4:-1].split("\n")]
            return "\n".join("<null>" if value is None else str(value) for value in found)
        message = self.message
        values: dict[str, Any] = {
            "$ci": message.call_id,
            "$cs": message.cseq,
            "$ft": message.from_tag,
            "$tt": message.to_tag or None,
            "$fu": message.from_uri,
            "$tu": message.to_uri,
            "$ou": message.request_uri,
            "$rm": message.method,
            "$pr": message.protocol,
            "$hdr(User-Agent)": message.user_agent or None,
            "$si": message.source[0],
            "$sp": message.source[1],
            "$hdrc(Via)": message.vias,
            "$(mb{line.at,0})": f"{message.method} {message.request_uri} SIP/2.0",
            "$cl": message.promised,
            "$bs": message.body_length,
            "$ct": self._get_idx("Contact", 0),
            "$redis(l=>value)": self._redis_answer,
            "$shtitkey(pings)": self._item[0],
            "$shtitval(pings)": self._item[1],
        }
        if name in values:
            return values[name]
        if name == "$(mb{s.sha256})":
            return sha256(message.as_bytes()).hexdigest()
        if name == "$(mb{s.encode.hexa})":
            return message.as_bytes().hex()
        if name.startswith("$avp("):
            return self.variables.get(name)
        assert name.startswith("$hdr("), name
        return self._get_idx(name[5:-1], 0)

    def spoil(self, variable: str, raw: bytes) -> None:
        """The field holds these bytes, which are not UTF-8."""
        readable, digits = self.pv.get, f"$({variable[1:]}{{s.encode.hexa}})"

        def get(name: str) -> Any:
            if name == variable:
                return raw.decode()
            return raw.hex() if name == digits else readable(name)

        self.pv.get = get

    def _set_pv(self, name: str, value: str) -> int:
        assert name.startswith("$avp("), name
        self.variables[name] = value
        return 1

    def _t_relay(self) -> int:
        if self.next_hop in self.unreachable:
            return -1
        self.done.append("t_relay")
        return 1

    def _uac_auth(self) -> int:
        names = ("$avp(trunk_user)", "$avp(trunk_password)")
        self.done.append(("proof", *(self.variables[name] for name in names)))
        return 1

    def _get_idx(self, name: str, index: int) -> str | None:
        values = self.message.fields.get(name, [])
        return values[index] if index < len(values) else None

    def _remove(self, name: str, index: int) -> int:
        self.done.append(("removed", name, index))
        return 1

    def _loose_route(self, _mode: int) -> int:
        routes = self.message.fields.get("Route", [])
        self.done.append("loose_route")
        if len(routes) > 1:
            self.next_hop = routes[1].strip("<>")
        return 1

    def _sht_get(self, table: str, key: str) -> str | int | None:
        # What kamailio.cfg.j2 gives tables as `initval`.
        return self.tables.get((table, key), 0 if table in _TABLES_OF_NUMBERS else None)

    def _sht_sets(self, table: str, key: str, value: str) -> int:
        self.tables[table, key] = value
        return 1

    def _sht_setxs(self, table: str, key: str, value: str, _expires_s: int) -> int:
        return self._sht_sets(table, key, value)

    def _iterate(self, _name: str, table: str) -> int:
        self._items = [(key, value) for (each, key), value in self.tables.items() if each == table]
        return 1

    def _next_item(self) -> int:
        if not self._items:
            return -1
        self._item = self._items.pop(0)
        return 1

    def _sht_inc(self, table: str, key: str) -> int:
        self.tables[table, key] = str(int(self.tables.get((table, key), "0")) + 1)
        return int(self.tables[table, key])

    def _redis(self, _server: str, command: str, argument: str, _reply: str) -> int:
        assert command == "GET %s"
        if not self.redis_is_up:
            return -1
        self._redis_answer = self.redis.get(argument)
        return 0

    def _count(self, name: str) -> int:
        assert "." not in name
        self.counts[name] = self.counts.get(name, 0) + 1
        return 1
