"""`[farm]`, `[node]`, `[storage]`, `[metrics]`, `[enrollment]`: one host and its farm.

In: nothing. Out: types of sections. Counterparts: `overlay.daemon`, which builds a node of them;
`overlay.enrollment`, which writes and renews what they name.
"""

from overlay.config.sections.section import Section
from overlay.config.values import (
    Address6OrEmpty,
    Capacity,
    FarmName,
    HostAddress,
    HostOrEmpty,
    Label,
    LabelOrEmpty,
    Port,
    ZeroOrMore,
)


class FarmSection(Section, frozen=True, kw_only=True):
    """The name of the farm. The same on every node."""

    name: FarmName
    """The SIP domain that phones are configured with. Nodes write it into Via and Record-Route."""


class NodeSection(Section, frozen=True, kw_only=True):
    """What distinguishes this node from the other nodes."""

    name: Label
    """The node's name, unique in the farm. `name.farm` is the node's host name."""
    address: HostAddress
    """The IPv4 or IPv6 address at which phones and the other nodes reach this node. It stands in
    the node's certificate."""
    address6: Address6OrEmpty = ""
    """A second, IPv6 address at which phones reach this node. The other nodes and the certificate
    use `address` alone. Empty: the node has no second address."""
    data_dir: str = "/var/lib/sipfarm"
    """The directory of the databases and logs that must survive a restart."""
    run_dir: str = "/run/sipfarm"
    """The directory of the Unix sockets (control.sock, dns.sock, redis.sock, kamailio.sock) and of
    small files that the node's own processes share while they run."""
    identity_dir: str = "/etc/sipfarm"
    """The directory of the node's key and certificate and of what it knows the farm by: node.key,
    node.pem, ca.pem, operator.pem, farm.secret."""
    zone: LabelOrEmpty = ""
    """The name of what fails together with this node, such as a rack or a site. The farm spreads
    the replicas of a record over the zones. Either all nodes have a zone, or none has."""
    capacity: Capacity = 100
    """The weight of this node in the farm's SRV records. Phones that follow RFC 2782 choose nodes
    in proportion to their weights."""


class StorageSection(Section, frozen=True, kw_only=True):
    """How the node uses its disk."""

    free_bytes_min: ZeroOrMore = 67_108_864
    """The least free space, in bytes, on the disk of `node.data_dir`. With less, the node refuses
    new calls and new subscribers, and keeps registrations in memory alone; calls that have begun
    are written to their end. What already waits for the disk must fit into this space, in the log
    and in the database: 2 * 20,000 rows of 1.6 KiB. 0: no limit."""


class MetricsSection(Section, frozen=True, kw_only=True):
    """Where a node answers a Prometheus server and other monitoring."""

    address: HostAddress = "127.0.0.1"
    """The IP address on which the node answers over HTTP. Choose one of the network by which the
    node is managed: whoever reaches it may ask, without a password. By default only programs on the
    node itself reach it."""
    port: Port = 9464
    """The TCP port of HTTP for /metrics, /live, /ready and /sd."""


class EnrollmentSection(Section, frozen=True, kw_only=True):
    """Where this node has its certificate renewed."""

    service: HostOrEmpty = ""
    """Where the operator runs `sipfarm ca serve`; the default port is 7461. The daemon asks there
    for a new certificate when a third of its lifetime is left. Empty: certificates are renewed by
    hand."""
