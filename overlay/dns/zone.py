"""The farm's zone: the records of each name, given the nodes that are alive (RFC 3263, RFC 2782).

In: the nodes as membership sees them. Out: resource records by name and type. Pure: no sockets, no
clock. Counterpart: `server.py`, which asks on PowerDNS's behalf.

Every set contains all live nodes whose Kamailio answers, so a phone can fail over within the answer
that it has. A set is never empty. The names of the name servers never change, so a delegation stays
right once it is made.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

NAME_SERVERS: Final = ("ns1", "ns2", "ns3")
"""Labels of the NS records. The addresses of each are those of a live node."""
SOA_MINIMUM_S_MAX: Final = 60
"""How long resolvers may remember that a name does not exist (RFC 2308 section 5)."""
SRV_PRIORITY: Final = 10
WEIGHT_DEFAULT: Final = 100

ALWAYS: Final = frozenset({"udp", "tcp"})
"""Transports that every node serves."""


@dataclass(frozen=True)
class Service:
    """The names of a transport in DNS (RFC 3263 4.1; RFC 7118 10.2 for transports over
    WebSocket)."""

    naptr: str
    srv: str


SERVICES: Final = {
    "udp": Service("SIP+D2U", "_sip._udp"),
    "tcp": Service("SIP+D2T", "_sip._tcp"),
    "tls": Service("SIPS+D2T", "_sips._tcp"),
    "ws": Service("SIP+D2W", "_sip._ws"),
    "wss": Service("SIPS+D2W", "_sips._ws"),
}
"""By transport, the preferred one first. Encrypted transports come last: a phone that wants
encryption (`sips`) takes nothing else, and a phone that does not trust the CA is not led to
them."""

_SOA_REFRESH_S: Final = 10_800
_SOA_RETRY_S: Final = 3_600
_SOA_EXPIRE_S: Final = 604_800


@dataclass(frozen=True, kw_only=True)
class ZoneNode:
    """A node, as the zone needs it."""

    name: str
    """One lower-case DNS label."""
    addresses: tuple[str, ...]
    """IPv4 and IPv6 addresses."""
    weight: int = WEIGHT_DEFAULT
    """Share of the phones that choose by weight (RFC 2782), from 0 to 65535."""
    transports: frozenset[str] = frozenset()
    """Transports that the node serves besides UDP and TCP: names of `Service`."""
    live: bool = True
    """Whether the node is in the farm's sets. Its own name resolves in any case."""
    serving: bool = True
    """Whether the node's Kamailio answers. A node whose Kamailio does not answer is in the sets
    that phones ask for only if no other node can be."""


@dataclass(frozen=True, kw_only=True)
class ZoneView:
    """All that the zone is made of."""

    farm: str
    nodes: tuple[ZoneNode, ...]
    """All known nodes, this node among them."""
    ttl_s: int = 60
    sip_port: int = 5060
    transport_ports: Mapping[str, int] = field(default_factory=dict)
    """Ports of further transports, by name of `Service`. A port is the same on every node."""
    overlay_port: int = 7460
    serial: int = 1
    """Serial number of the SOA. It rises when the nodes change, e.g. the Unix time of the last
    change."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A resource record. `content` is as in a zone file, its names with a dot at the end."""

    name: str
    type: str
    content: str
    ttl_s: int


def steady(view: ZoneView, last: ZoneView | None) -> ZoneView:
    """The view; if no node in it is live, then with the nodes of `last`, the last view that had a
    live node."""
    if last is None or any(node.live and node.addresses for node in view.nodes):
        return view
    return replace(view, nodes=last.nodes)


@dataclass(frozen=True)
class Zone:
    """The records of a view, ready to be looked up."""

    view: ZoneView
    _by_name: dict[str, tuple[Record, ...]] = field(init=False, repr=False)
    _between: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_name: dict[str, list[Record]] = {}
        for record in _records(self.view):
            by_name.setdefault(record.name, []).append(record)
        between = {
            above for name in by_name for above in _above(name, self.apex) if above not in by_name
        }
        object.__setattr__(self, "_by_name", {k: tuple(v) for k, v in by_name.items()})
        object.__setattr__(self, "_between", frozenset(between))

    @property
    def apex(self) -> str:
        """The zone's name, with a dot at the end."""
        return f"{self.view.farm}."

    @property
    def empty(self) -> bool:
        """Whether there is no live node. The zone can answer nothing then."""
        return not self._by_name

    def records(self) -> Iterable[Record]:
        """All records of the zone."""
        for records in self._by_name.values():
            yield from records

    def lookup(self, name: str, kind: str) -> tuple[Record, ...]:
        """The records of this name and type, or of every type for `ANY`; empty if there are none.

        The name may be in any case, and must end with a dot.
        """
        records = self._by_name.get(name.lower(), ())
        if kind == "ANY":
            return records
        return tuple(record for record in records if record.type == kind)

    def between(self, name: str) -> bool:
        """Whether the name has no records, but a name below it has (RFC 8020 section 2)."""
        return name.lower() in self._between


def _above(name: str, apex: str) -> Iterable[str]:
    while name != apex:
        name = name.partition(".")[2]
        yield name


def _records(view: ZoneView) -> Iterable[Record]:
    live = sorted(
        (node for node in view.nodes if node.live and node.addresses), key=lambda node: node.name
    )
    if not live:
        return
    apex, ttl_s = f"{view.farm}.", view.ttl_s

    def record(name: str, kind: str, content: str) -> Record:
        return Record(name=name, type=kind, content=content, ttl_s=ttl_s)

    yield record(apex, "SOA", _soa(view))
    for label in NAME_SERVERS:
        yield record(apex, "NS", f"{label}.{apex}")
    ports = {"udp": view.sip_port, "tcp": view.sip_port, **view.transport_ports}
    for place, (transport, service) in enumerate(SERVICES.items(), start=1):
        having = [n for n in live if transport in ALWAYS or transport in n.transports]
        if not having or transport not in ports:
            continue
        content = f'10 {10 * place} "s" "{service.naptr}" "" {service.srv}.{apex}'
        yield record(apex, "NAPTR", content)
        for node in _serving(having):
            content = f"{SRV_PRIORITY} {node.weight} {ports[transport]} {node.name}.{apex}"
            yield record(f"{service.srv}.{apex}", "SRV", content)
    for node in _serving(live):
        for kind, address in _typed(node.addresses):
            yield record(apex, kind, address)
    for node in live:
        content = f"{SRV_PRIORITY} {node.weight} {view.overlay_port} {node.name}.{apex}"
        yield record(f"_sipfarm-overlay._tcp.{apex}", "SRV", content)
    for name, addresses in _hosts(view.nodes, live):
        for kind, address in _typed(addresses):
            yield record(f"{name}.{apex}", kind, address)


def _serving(nodes: list[ZoneNode]) -> list[ZoneNode]:
    """The nodes whose Kamailio answers; all nodes if none answers, as a set is never empty."""
    return [node for node in nodes if node.serving] or nodes


def _hosts(
    nodes: Iterable[ZoneNode], live: list[ZoneNode]
) -> Iterable[tuple[str, tuple[str, ...]]]:
    names = set()
    for node in nodes:
        names.add(node.name)
        yield node.name, node.addresses
    free = list(live)
    for label in NAME_SERVERS:
        # Rendezvous hashing chooses, so a name server keeps its address while that node lives.
        chosen = max(free or live, key=lambda node: _rank(label, node.name))
        if free:
            free.remove(chosen)
        if label not in names:
            yield label, chosen.addresses


def _rank(label: str, node: str) -> bytes:
    return sha256(f"{label} {node}".encode()).digest()


def _typed(addresses: Iterable[str]) -> Iterable[tuple[str, str]]:
    for text in addresses:
        address = ipaddress.ip_address(text)
        yield ("A" if address.version == 4 else "AAAA"), str(address)


def _soa(view: ZoneView) -> str:
    apex = f"{view.farm}."
    times = (_SOA_REFRESH_S, _SOA_RETRY_S, _SOA_EXPIRE_S, min(view.ttl_s, SOA_MINIMUM_S_MAX))
    numbers = " ".join(str(number) for number in (view.serial % 2**32, *times))
    return f"{NAME_SERVERS[0]}.{apex} hostmaster.{apex} {numbers}"
