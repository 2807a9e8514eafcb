"""How a node is, as it describes itself to other nodes and to operators.

In: `overlay.control.local` fills it in. Out: one msgpack map. An older node reads it without the
fields that it does not know.
"""

import msgspec


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One node as it describes itself; if it does not answer, as other nodes last knew it."""

    name: str
    id: str
    """40 hex digits."""
    address: str
    """`address:port` of its overlay port."""
    state: str
    """`alive`, `suspect`, `dead` or `left`."""
    version: str = ""
    uptime_s: float = 0.0
    ready: bool = False
    bindings: int = 0
    """Registration records that the node holds as a replica."""
    calls: int = 0
    """Call records that the node holds as a replica."""
    subscribers: int = 0
    journal_depth: int = 0
    """Call events that are on fewer than W disks."""
    redis: str = ""
    """`ok`, or what is wrong with the node's Redis."""
    disk: str = ""
    """`ok`, or what is wrong with the node's disk."""
    zone: str = ""
    """The setting `node.zone`."""
    draining: bool = False
    """The node is being taken out of service."""
    proxy: str = ""
    """`ok`, or `away` if its Kamailio does not answer; empty if the node does not say."""
    shed: int = 0
    """New requests that its Kamailio has refused since its start because it was behind with its
    work."""
    since_s: float = 0.0
    """For how many seconds the node that was asked has seen this other node in this state; 0: not
    known."""
    lease: str = ""
    """The name of the node that has the maintenance lease, as far as this node has granted it."""
    lease_s: float = 0.0
    """For how many seconds that node has had the lease."""
    installed: str = ""
    """The version on the node's disk, which comes into force with its next start; empty if it is
    not known."""
    unready: tuple[str, ...] = ()
    """All that keeps the node from being ready, in words for people."""
