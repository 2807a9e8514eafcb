"""A node as the others know it: its id, its address and what it says of itself.

In and out: these structs, in frames between nodes and on disk. A field that is added at the end is
compatible both ways.
"""

from typing import Annotated

import msgspec

Key = Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]
"""A node's id, or a record's key."""


class Traits(msgspec.Struct, frozen=True, array_like=True, kw_only=True, order=True):
    """What a node says of itself besides its address. It does not change within one incarnation of
    the node."""

    draining: bool = False
    """The node hands over the records that it holds. It gets no new records, and no new phones."""
    zone: str = ""
    """The name of what fails together with the node, such as a rack or a site. Replicas are spread
    over zones."""
    capacity: int = 100
    """The node's weight for phones that choose by weight (RFC 2782), from 0 to 65535."""
    transports: tuple[str, ...] = ()
    """The transports on which it serves phones besides UDP and TCP: `tls`, `ws`, `wss`."""
    address6: str = ""
    """The IPv6 address at which phones reach the node, besides `NodeInfo.host`."""
    proxy_away: bool = False
    """The node's Kamailio does not answer. Phones are sent to other nodes; nothing else changes."""
    software: str = ""
    """The version of sipfarm that the node runs; empty: an older version, which does not say."""
    metrics: str = ""
    """The address at which a Prometheus server reaches its metrics, `address:port` or `[IPv6
    address]:port`; empty: only the node's own host reaches them."""


class NodeInfo(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A node as others reach it."""

    node_id: Key
    """SHA-1 of the node's public key."""
    name: str
    host: str
    port: int
    traits: Traits | None = None
    """None if they are unknown, because an older node passed the rest on without them."""

    @property
    def draining(self) -> bool:
        """Whether the node hands over the records that it holds."""
        return self.traits is not None and self.traits.draining

    @property
    def proxy_away(self) -> bool:
        """Whether the node's Kamailio does not answer."""
        return self.traits is not None and self.traits.proxy_away

    @property
    def zone(self) -> str:
        """The node's zone; empty if it has none."""
        return self.traits.zone if self.traits is not None else ""
