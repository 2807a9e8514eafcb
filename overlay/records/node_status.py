"""How a node is, as it describes itself to other nodes and to operators.

In: `overlay.control.local` fills it in. Out: one msgpack map, which an older node reads without the
fields that it does not know.
"""

import msgspec


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One node as it describes itself, or, when it does not answer, as others last knew it."""

    name: str
    id: str
    """40 hex digits."""
    address: str
    """`address:port` of its overlay port."""
    state: str
    """`alive`, `suspect`, `dead`, `left`."""
    version: str = ""
    uptime_s: float = 0.0
    ready: bool = False
    bindings: int = 0
    """Registration records that it holds as a replica."""
    calls: int = 0
    """Call records that it holds as a replica."""
    subscribers: int = 0
    journal_depth: int = 0
    """Call events that are on fewer than W disks."""
    redis: str = ""
    """`ok` or what is wrong."""
    disk: str = ""
    """`ok` or what is wrong."""
    zone: str = ""
    """`node.zone`."""
    draining: bool = False
    """It is being taken out of service."""
    proxy: str = ""
    """`ok`, or `away` where Kamailio does not answer; empty if the node does not say."""
    shed: int = 0
    """New requests that its Kamailio has refused since its start, being behind with its work."""
    since_s: float = 0.0
    """For how long the asked node has seen another in this state; 0: not known."""
    lease: str = ""
    """Name of the node that has the maintenance lease, as this one granted it."""
    lease_s: float = 0.0
    """For how long."""
    installed: str = ""
    """The version on its disk, which is in force after its next start; empty if it is not known."""
    unready: tuple[str, ...] = ()
    """All that keeps it from being ready, for people."""
