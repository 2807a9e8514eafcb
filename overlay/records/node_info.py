"""A node as the others know it: its id, its address and what it says of itself.

In and out: these structs, in frames between nodes and on disk. A field added at the end is
compatible both ways.
"""

from typing import Annotated

import msgspec

Key = Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]
"""A node's id, or a record's key."""


class Traits(msgspec.Struct, frozen=True, array_like=True, kw_only=True, order=True):
    """What a node says of itself besides its address; the same for one incarnation of it."""

    draining: bool = False
    """It hands over what it holds: it gets no new records, and no new phones."""
    zone: str = ""
    """What fails together with it: a rack, a site. Replicas are spread over zones."""
    capacity: int = 100
    """Share of the phones that choose by weight (RFC 2782), from 0 to 65535."""
    transports: tuple[str, ...] = ()
    """What it serves phones on besides UDP and TCP: `tls`, `ws`, `wss`."""
    address6: str = ""
    """Where phones reach it by IPv6, besides `NodeInfo.host`."""
    proxy_away: bool = False
    """Its Kamailio does not answer: phones are sent elsewhere, and nothing else changes."""
    software: str = ""
    """The version of sipfarm that it runs; empty: an older one, which does not say."""
    metrics: str = ""
    """Where a Prometheus asks it, `address:port` or `[IPv6 address]:port`; empty: only on its own
    host."""


class NodeInfo(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A node as others reach it."""

    node_id: Key
    """SHA-1 of its public key."""
    name: str
    host: str
    port: int
    traits: Traits | None = None
    """None: unknown, as older nodes pass it on."""

    @property
    def draining(self) -> bool:
        """Whether it hands over what it holds."""
        return self.traits is not None and self.traits.draining

    @property
    def proxy_away(self) -> bool:
        """Whether its Kamailio does not answer."""
        return self.traits is not None and self.traits.proxy_away

    @property
    def zone(self) -> str:
        """Its zone; empty without a label."""
        return self.traits.zone if self.traits is not None else ""
