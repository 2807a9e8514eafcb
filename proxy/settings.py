"""The node's configuration in the form in which the routes use it, worked out once.

In: the defines in kamailio.cfg. Out: a frozen `Settings`. Counterpart: `render.py`, which writes
the defines.
"""

import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from overlay.base.addresses import network_of
from overlay.config import config as configuration
from overlay.config.config import Config

PORT_DEFAULT: Final = 5060
TLS_PORT_DEFAULT: Final = 5061
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Configuration in the form in which the routes use it."""

    config: Config
    farm: str
    """Domain of the farm; also the digest realm."""
    node: str
    own_hosts: frozenset[str]
    """Hosts in a Request-URI or Route that mean this farm, in lower case."""
    record_route_host: str
    """The farm's name as it stands in Record-Route, with the port if it is not 5060."""
    route_ends: Mapping[str, tuple[str, str]]
    """By transport: the host, and the further parameters, of a Record-Route on the side that uses
    this transport (RFC 5658)."""
    own_route: str
    """The beginning of a Route of this farm, unless a phone has rewritten it."""
    route_key: bytes
    """Key of the nonces and of the signatures in Record-Route and Route."""
    trusted_networks: tuple[Network, ...]
    """The addresses among `proxy.trusted_peers`."""
    trusted_names: frozenset[str]
    """The names among `proxy.trusted_peers`."""
    lookup_deadline_s: float
    event_deadline_s: float

    def trusts(self, address: str) -> bool:
        """Whether the address belongs to one of `proxy.trusted_peers`."""
        if not self.trusted_networks:
            return False
        try:
            parsed = ipaddress.ip_address(address.strip("[]"))
        except ValueError:
            return False
        return any(parsed in network for network in self.trusted_networks)

    @classmethod
    def from_config(cls, config: Config, route_key: bytes) -> Self:
        """The settings of the node with this configuration."""
        farm, port = config.farm.name, config.proxy.port
        node = config.node
        addresses = [each for each in (node.address, node.address6) if each]
        names = (farm, f"{node.name}.{farm}", *addresses, *(f"[{each}]" for each in addresses))
        record_route_host = farm if port == PORT_DEFAULT else f"{farm}:{port}"
        return cls(
            config=config,
            farm=farm,
            node=config.node.name,
            own_hosts=frozenset(name.lower() for name in names),
            record_route_host=record_route_host,
            route_ends=_route_ends(config, record_route_host),
            own_route=f"<sip:{record_route_host};lr;",
            route_key=route_key,
            trusted_networks=tuple(
                network
                for peer in config.proxy.trusted_peers
                if (network := network_of(peer)) is not None
            ),
            trusted_names=frozenset(
                peer for peer in config.proxy.trusted_peers if network_of(peer) is None
            ),
            lookup_deadline_s=config.proxy.lookup_deadline_ms / 1000,
            event_deadline_s=config.proxy.event_deadline_ms / 1000,
        )

    @classmethod
    def from_defines(cls, define: Callable[[str], str]) -> Self:
        """The settings in kamailio.cfg's defines; raises `ConfigError` if they are not usable."""
        text = define("SIPFARM_CONFIG")
        config = configuration.parse(json.loads(text or "{}"), "kamailio.cfg")
        return cls.from_config(config, bytes.fromhex(define("SIPFARM_ROUTE_KEY")))

    def route_end(self, protocol: str) -> tuple[str, str]:
        """Host and further parameters of a Record-Route on the side of this transport."""
        return self.route_ends.get(protocol) or self.route_ends["udp"]

    @property
    def encrypts(self) -> bool:
        """Whether TLS is served on any port."""
        return bool(self.config.proxy.tls_port or self.config.proxy.wss_port)

    def node_uri(self, node: str, protocol: str) -> str:
        """The URI by which this node reaches another node of the farm."""
        proxy = self.config.proxy
        # Kamailio takes SIP over TLS on the port of WebSocket over TLS as well.
        port = proxy.tls_port or proxy.wss_port if protocol == "tls" else proxy.port
        return f"sip:{node}.{self.farm}:{port};transport={protocol}"


def _route_ends(config: Config, host: str) -> dict[str, tuple[str, str]]:
    """UDP and TCP share a port, and a phone may use either; the other transports must be named."""
    farm, tls_port = config.farm.name, config.proxy.tls_port
    tls_host = farm if tls_port == TLS_PORT_DEFAULT else f"{farm}:{tls_port}"
    return {
        "udp": (host, ""),
        "tcp": (host, ";transport=tcp"),
        "tls": (tls_host, ";transport=tls"),
        "ws": (farm, ";transport=ws"),
        "wss": (farm, ";transport=ws"),
    }
