"""What makes no sense in a configuration whose types are right.

In: its sections. Out: what is wrong with each, a line each that begins with the setting's name.
Counterpart: `config.py`, which refuses a file with all of it at once.
"""

import ipaddress
import re
from collections.abc import Iterable

import msgspec

from overlay.addresses import network_of, split_address
from overlay.config_sections import (
    Billing,
    Dns,
    DnsUpdate,
    Enrollment,
    Export,
    Farm,
    Media,
    Metrics,
    Node,
    Overlay,
    Proxy,
    Section,
    Storage,
)
from overlay.errors import ConfigError
from overlay.limits import ENROLLMENT_PORT_DEFAULT

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ROUTE = re.compile(r"sips?:[^\s<>\"?]+;lr(;[^\s<>\"?]*)?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]-]+")
_RELAY = re.compile(r"udp6?:(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")
_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?")
_TOPIC = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,248}")
_BROKER = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")
_TRANSPORTS = ("tls_port", "ws_port", "wss_port")
"""Not served where 0."""
_MAY_BE_0 = frozenset(
    {"udp_bytes_max", "source_requests_per_s_max", "shed_delay_ms", "workers", "nat_ping_s"}
)


def farm(section: Farm) -> list[str]:
    """The farm's name."""
    labels = section.name.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        return [f"farm.name: {section.name!r} is not a lower-case domain name"]
    return []


def node(section: Node) -> list[str]:
    """What is the node's own."""
    found = []
    if not _LABEL.fullmatch(section.name):
        found.append(f"node.name: {section.name!r} is not a lower-case DNS label")
    try:
        if ipaddress.ip_address(section.address).is_unspecified:
            found.append(f"node.address: {section.address} cannot be reached by others")
    except ValueError:
        found.append(f"node.address: {section.address!r} is not an IP address")
    found += _address6(section)
    if section.zone and not _LABEL.fullmatch(section.zone):
        found.append(f"node.zone: {section.zone!r} is not like a lower-case DNS label")
    if not 0 <= section.capacity <= 65_535:
        found.append("node.capacity: must be from 0 to 65535")
    return found


def overlay(section: Overlay) -> list[str]:
    """Quorums, and whom to ask at first."""
    found = _numbers("overlay", section) + _ports("overlay", section.port)
    for entry in section.bootstrap:
        found += _address("overlay.bootstrap", entry, section.port)
    if not 1 <= section.write_quorum <= section.replicas:
        found.append("overlay.write_quorum: must be from 1 to overlay.replicas")
    if not 1 <= section.read_quorum <= section.replicas:
        found.append("overlay.read_quorum: must be from 1 to overlay.replicas")
    if section.write_quorum + section.read_quorum <= section.replicas:
        found.append(
            "overlay: write_quorum + read_quorum must exceed replicas, or a read misses a write"
        )
    return found


def proxy(section: Proxy) -> list[str]:
    """What phones and carriers meet."""
    found = _numbers("proxy", section, but=_TRANSPORTS) + _ports("proxy", section.port)
    if not section.expires_min_s <= section.expires_default_s <= section.expires_max_s:
        found.append("proxy: expires_min_s <= expires_default_s <= expires_max_s must hold")
    if not 0 <= section.expires_jitter <= 0.5:
        found.append("proxy.expires_jitter: must be from 0 to 0.5")
    if not section.digest_algorithms:
        found.append("proxy.digest_algorithms: at least one is needed")
    for uri in section.service_route:
        if not _ROUTE.fullmatch(uri):
            found.append(f"proxy.service_route: {uri!r} is not like sip:proxy.example.com;lr")
    for peer in section.trusted_peers:
        if network_of(peer) is None and not all(map(_LABEL.fullmatch, peer.split("."))):
            found.append(f"proxy.trusted_peers: {peer!r} is no address, network or domain name")
    for origin in section.ws_origins:
        if not _ORIGIN.fullmatch(origin):
            found.append(f"proxy.ws_origins: {origin!r} is not like https://phone.example.net")
    further = {name: getattr(section, name) for name in _TRANSPORTS}
    for name, port in further.items():
        if not 0 <= port < 65536:
            found.append(f"proxy.{name}: {port} is not from 0 to 65535")
    used = [port for port in (section.port, *further.values()) if port]
    if len(used) != len(set(used)):
        found.append("proxy: two transports have the same port")
    return found


def billing(section: Billing) -> list[str]:
    """How long records are kept."""
    return ["billing.retention_days: must not be below 0"] if section.retention_days < 0 else []


def storage(section: Storage) -> list[str]:
    """What is left free of the disk."""
    return ["storage.free_bytes_min: must not be below 0"] if section.free_bytes_min < 0 else []


def media(section: Media) -> list[str]:
    """RTP relays."""
    return _numbers("media", section) + [
        f"media.relays: {relay!r} is not like udp:192.0.2.20:2223"
        for relay in section.relays
        if not _RELAY.fullmatch(relay)
    ]


def dns(section: Dns) -> list[str]:
    """The node's own DNS server."""
    return _numbers("dns", section) + _ports("dns", section.port)


def metrics(section: Metrics) -> list[str]:
    """Where they are."""
    return _ports("metrics", section.port)


def enrollment(section: Enrollment) -> list[str]:
    """Who renews certificates."""
    if not section.service:
        return []
    return _address("enrollment.service", section.service, ENROLLMENT_PORT_DEFAULT)


def dns_update(section: DnsUpdate, farm_name: str) -> list[str]:
    """The zone of others that tells of the farm."""
    found = _address("dns_update.server", section.server, 53) if section.server else []
    if section.zone and not f".{farm_name}".endswith(f".{section.zone}"):
        found.append(f"dns_update.zone: {farm_name} is not in {section.zone!r}")
    if section.check_s <= 0:
        found.append("dns_update.check_s: must be above 0")
    return found


def export(section: Export) -> list[str]:
    """Where billing records go."""
    found = []
    if section.webhook and not section.webhook.startswith(("http://", "https://")):
        found.append("export.webhook: not an http or https URL")
    if not _TABLE.fullmatch(section.postgresql_table):
        found.append("export.postgresql_table: not a table's name")
    if len(set(section.files)) != len(section.files):
        found.append("export.files: the same twice")
    for name in ("rotate_s", "rotate_mib"):
        if getattr(section, name) <= 0:
            found.append(f"export.{name}: must be above 0")
    kafka = section.kafka
    for broker in kafka.brokers:
        if not _BROKER.fullmatch(broker):
            found.append(f"export.kafka.brokers: {broker!r} is not address:port")
    if not _TOPIC.fullmatch(kafka.topic):
        found.append("export.kafka.topic: not a topic's name")
    if kafka.sasl == "PLAIN" and not kafka.tls:
        found.append("export.kafka.sasl: PLAIN shows the password to all on the way without tls")
    if bool(kafka.sasl) != bool(kafka.user):
        found.append("export.kafka: sasl and user go together")
    return found


def _address6(section: Node) -> list[str]:
    if not section.address6:
        return []
    try:
        address = ipaddress.IPv6Address(section.address6)
    except ValueError:
        return [f"node.address6: {section.address6!r} is not an IPv6 address"]
    if address.is_unspecified or address.scope_id or section.address6 == section.address:
        return [f"node.address6: {section.address6} is not one more address for others to reach"]
    return []


def _address(name: str, text: str, default_port: int) -> list[str]:
    try:
        split_address(text, default_port)
    except ConfigError as error:
        return [f"{name}: {error}"]
    return []


def _ports(name: str, port: int) -> list[str]:
    return [] if 0 < port < 65536 else [f"{name}.port: {port} is not from 1 to 65535"]


def _numbers(name: str, section: Section, but: Iterable[str] = ()) -> list[str]:
    """Whole numbers that are not above 0, and have to be."""
    return [
        f"{name}.{setting}: must be above 0"
        for setting, value in msgspec.structs.asdict(section).items()
        if setting not in but
        and type(value) is int
        and (value < 0 or (value == 0 and setting not in _MAY_BE_0))
    ]
