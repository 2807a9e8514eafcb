"""What a worker needs to know of its node's configuration, worked out once.

In: the defines of kamailio.cfg. Out: a frozen `Settings`. Counterpart: `render.py` writes the
defines.
"""

import ipaddress
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from overlay import config as configuration
from overlay.config import Config

PORT_DEFAULT: Final = 5060
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Configuration in the form in which the routes use it."""

    config: Config
    farm: str
    """Domain of the farm; also the digest realm."""
    node: str
    own_hosts: frozenset[str]
    """Hosts of a Request-URI or Route that mean this farm, in lower case."""
    record_route_host: str
    """The farm's name as it stands in Record-Route, with the port if it is not 5060."""
    own_route: str
    """What a Route of this farm begins with, unless a phone has rewritten it."""
    route_key: bytes
    """Key of the signatures in Record-Route and Route parameters, and of nonces."""
    trusted_networks: tuple[Network, ...]
    """Of `proxy.trusted_peers`, the addresses."""
    trusted_names: frozenset[str]
    """Of `proxy.trusted_peers`, the names."""
    lookup_deadline_s: float
    event_deadline_s: float

    @classmethod
    def from_config(cls, config: Config, route_key: bytes) -> Self:
        """The settings of a node."""
        farm, port = config.farm.name, config.proxy.port
        address = config.node.address
        names = (farm, f"{config.node.name}.{farm}", address, f"[{address}]")
        record_route_host = farm if port == PORT_DEFAULT else f"{farm}:{port}"
        return cls(
            config=config,
            farm=farm,
            node=config.node.name,
            own_hosts=frozenset(name.lower() for name in names),
            record_route_host=record_route_host,
            own_route=f"<sip:{record_route_host};lr;",
            route_key=route_key,
            trusted_networks=tuple(
                network
                for peer in config.proxy.trusted_peers
                if (network := configuration.network_of(peer)) is not None
            ),
            trusted_names=frozenset(
                peer
                for peer in config.proxy.trusted_peers
                if configuration.network_of(peer) is None
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

    def node_uri(self, node: str, protocol: str) -> str:
        """Where this node reaches another one of the farm."""
        return f"sip:{node}.{self.farm}:{self.config.proxy.port};transport={protocol}"
