"""The sections of the node's configuration: every setting's type, range, default and sentence.

In: nothing. Out: the types of `overlay.config.Config`, and docs/configuration.md, which
`deploy/docs` makes of this file. The names in TOML, in Python and in the documentation are the
same. Counterparts: `config/values.py` has the ranges; `config/checks.py` says which values do not
go together.
"""

import os
from typing import Literal

import msgspec

from overlay.config.values import (
    AboveZero,
    Address6OrEmpty,
    Brokers,
    Capacity,
    ExpiresDefault,
    FarmName,
    HostAddress,
    HostOrEmpty,
    Hosts,
    Label,
    LabelOrEmpty,
    Origins,
    Port,
    PortOrZero,
    Quorum,
    Relays,
    Routes,
    StopSeconds,
    Table,
    Topic,
    TrustedPeers,
    UpToHalf,
    WebUrlOrEmpty,
    ZeroOrMore,
)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all sections have in common: a setting that is not declared is an error."""


class FarmSection(Section, frozen=True, kw_only=True):
    """What names the farm. The same on every node."""

    name: FarmName
    """The SIP domain that phones are configured with. Nodes write it into Via and Record-Route."""


class NodeSection(Section, frozen=True, kw_only=True):
    """What tells this node from the other nodes."""

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


class OverlaySection(Section, frozen=True, kw_only=True):
    """How the nodes find each other, watch each other and keep copies of records."""

    port: Port = 7460
    """The TCP port on which other nodes connect to this node with mutual TLS 1.3. Probes use UDP on
    the same port."""
    bootstrap: Hosts = ()
    """Addresses of other nodes, any that are likely to be alive, to find the farm by. A node that
    reaches none of them asks DNS as well: `_sipfarm-overlay._tcp` SRV of the farm's name, then the
    addresses of that name."""
    mdns: bool = False
    """Whether the node announces itself on its local network by multicast DNS, and looks for the
    farm there."""
    replicas: AboveZero = 3
    """N: how many nodes hold each record. They are the nodes whose ids are nearest to the record's
    key."""
    write_quorum: Quorum = 2
    """W: how many replicas must have stored a write before it is acknowledged."""
    read_quorum: Quorum = 2
    """R: how many replicas must answer a read. W + R must exceed N, so that every read meets the
    last write."""
    links_kept: AboveZero = 200
    """In a farm of up to this many other nodes, every node keeps a link to every other node. In a
    larger farm, a node keeps this many links: half of them to the nodes nearest by id, the rest
    spread over the id space. It opens links to other nodes when it has a request for them."""
    link_idle_ms: AboveZero = 60_000
    """In a farm of more than `links_kept` nodes: how long a link that was opened for one request
    stays open without another. Keep it above `lease_ms`, so that leases rarely end with a link."""
    bucket_size: AboveZero = 1_024
    """k of the Kademlia routing table. In a farm of fewer nodes, every node knows every other node
    and finds a record's holders in one step. In a larger farm, a lookup takes about
    log2(nodes / bucket_size) / log2(bucket_size) further steps."""
    lookup_parallel: AboveZero = 3
    """alpha: how many questions of one lookup a node has under way at a time."""
    request_timeout_ms: AboveZero = 500
    """How long a node waits for another node's answer to one request."""
    probe_interval_ms: AboveZero = 250
    """How often a node probes one of the other nodes. The nodes take turns by the wall clock: while
    their clocks agree, each node is probed this often, by one node after the other, however large
    the farm is. In a farm of more than `links_kept` nodes, the turns are random and 2.5 times as
    frequent."""
    probe_timeout_ms: AboveZero = 150
    """How long a node waits for the answer to a probe before it asks other nodes to probe as well,
    and how long it then waits before it suspects the silent node. Both times are multiplied by
    1 + the node's own health score."""
    probe_helpers: AboveZero = 3
    """How many other nodes are asked to probe a node that did not answer."""
    health_score_max: AboveZero = 4
    """The upper end of a node's health score, which makes a node that is slow itself more patient
    with others. The score rises by 1 for each probe that failed without an answer from the helpers
    and for each suspicion of this node, and by 2 when the node's timers are late by more than
    `probe_timeout_ms`. It falls by 1 for each probe that was answered in time."""
    suspicion_min_ms: AboveZero = 250
    """The shortest time between the suspicion of a node and its declaration as dead, in a farm of
    up to ten nodes. The time is max(min, max - (max - min) * log(C + 1) / log(K + 1)), where C
    nodes confirm the suspicion, K is given by `suspicion_confirmations`,
    min = suspicion_min_ms * max(1, log10(nodes)) and max = suspicion_max_factor * min."""
    suspicion_max_factor: AboveZero = 4
    """How many times longer a suspicion lasts that no other node confirms, compared with the
    shortest time."""
    suspicion_confirmations: AboveZero = 3
    """How many other nodes must suspect the same node for the shortest time to apply. In a farm of
    fewer than five nodes, nodes - 2 are enough."""
    gossip_multiplier: AboveZero = 3
    """lambda: each node passes each piece of news about a node on to lambda * ln(nodes) of the
    nodes that it has links to."""
    gossip_interval_ms: AboveZero = 20
    """How long a node waits between two rounds of passing on news. The first round is sent at
    once."""
    gossip_fanout: AboveZero = 4
    """To how many nodes a node passes news on in one round."""
    redial_ms: AboveZero = 500
    """How long a node waits before it connects again to a node that it has lost. The wait doubles
    with every failure, and is multiplied by a random number from 1 to 2."""
    redial_max_ms: AboveZero = 4_000
    """The longest wait between two attempts to connect, before the random factor. A farm whose
    network was cut in two is one again about twice this time after the cut heals."""
    lease_ms: AboveZero = 30_000
    """How long a node may answer from its cache with a record that it read from another node. A
    change of the record is pushed to it before that time is over."""
    repair_interval_ms: AboveZero = 10_000
    """How often a node compares a slice of the records that it holds with the other replicas."""


class ProxySection(Section, frozen=True, kw_only=True):
    """What Kamailio does with phones, gateways and other proxies."""

    port: Port = 5060
    """The SIP port, on UDP and on TCP."""
    tls_port: PortOrZero = 0
    """The TCP port of SIP over TLS; RFC 3261 says 5061. The same on every node. 0: the node does
    not serve SIP over TLS."""
    tls_certificate: str = "/etc/sipfarm/sip.pem"
    """A PEM file with the certificate that the node shows to phones, followed by the intermediate
    certificates. It must name the farm (RFC 5922), and `node.farm` as well if other nodes are to
    check it."""
    tls_key: str = "/etc/sipfarm/sip.key"
    """A PEM file with the private key of `tls_certificate`."""
    tls_ca: str = "/etc/ssl/certs/ca-certificates.crt"
    """A PEM file with the CAs that this node trusts when it connects to SIP servers over TLS, the
    farm's other nodes among them."""
    ws_port: PortOrZero = 0
    """The TCP port of SIP over WebSocket (RFC 7118) without TLS, for a reverse proxy that speaks
    TLS to the browsers. 0: not served."""
    wss_port: PortOrZero = 0
    """The TCP port of SIP over WebSocket over TLS, with `tls_certificate`. 0: not served."""
    ws_origins: Origins = ()
    """The web sites whose pages may connect by WebSocket, by what a browser sends as Origin. Empty:
    the pages of all web sites may. A client that sends no Origin is not a browser, and may
    connect."""
    workers: ZeroOrMore = 0
    """How many worker processes Kamailio has for each UDP socket, and as many for all connections;
    each works on one request at a time. 0: one for each core, at least two. More workers cost more
    CPU, because the kernel wakes them in turn and each finds its caches cold: on two cores, a call
    takes a third less with two workers than with four. With fewer workers than billed calls a
    second x 2 x the seconds that a write takes, calls wait for the disk."""
    authenticate: bool = True
    """Whether the farm asks for a password (digest authentication) for a REGISTER, and for a
    request whose From is one of the farm's subscribers."""
    lookup_deadline_ms: AboveZero = 150
    """How long a Kamailio worker waits when it asks the daemon to locate, authenticate or register
    a subscriber."""
    event_deadline_ms: AboveZero = 400
    """How long a Kamailio worker waits until a call event is safely stored. Keep it below T1 of
    RFC 3261 (500 ms), after which phones repeat their requests."""
    expires_min_s: AboveZero = 60
    """The shortest registration. A REGISTER that asks for less is refused with 423 (RFC 3261 10.3
    step 7)."""
    expires_max_s: AboveZero = 3600
    """The longest registration. A REGISTER that asks for more gets this much."""
    expires_default_s: ExpiresDefault = 3600
    """How long a registration lasts if the REGISTER does not ask for a time."""
    expires_jitter: UpToHalf = 0.1
    """The largest share by which a registration of at least twice `expires_min_s` is shortened, as
    RFC 3261 10.3 step 7 allows, so that phones that all came at once, as after a power cut, do not
    all come back at once. With 0.1, 50,000 phones that ask for 3600 s come back spread over six
    minutes, 139 a second, and more evenly each time. 0: registrations last as long as was asked."""
    contacts_max: AboveZero = 10
    """How many bindings (phones) an address-of-record may have, unless its subscriber has a limit
    of its own."""
    source_requests_per_s_max: ZeroOrMore = 500
    """How many requests outside of dialogs one IP address may send in a second. The node drops what
    is more, except emergency calls and what trunks and `trusted_peers` send. Where many phones
    share one address, leave room for all of them to come back after a power cut. 0: no limit."""
    shed_delay_ms: ZeroOrMore = 50
    """The delay at which a busy node begins to refuse new requests with 503. It does so when
    messages have waited for a worker longer than this, or a worker that serves connections had no
    rest for longer than this, and when that has been so for twice this time; so a node that stands
    still for a moment serves what has gathered meanwhile. The longer the wait, the larger the share
    of requests that is refused: all of them at one and a half times this delay. From there on
    REGISTERs and answers to challenges are refused as well, all of them at twice this delay. A node
    also refuses requests at once while the memory of the UDP socket (4 MiB, or what
    net.core.rmem_max allows) is more than half full, all of them at three quarters. It never
    refuses requests in dialogs, nor emergency calls. An answer waits as long as its request did:
    with a fifth of T1 (RFC 3261 17.1.1.1, 500 ms), the phones of a busy node begin to repeat their
    INVITEs, which makes it busier. 0: no request is refused for this reason."""
    login_failures_max: AboveZero = 10
    """How many wrong passwords for one user from one IP address within a minute lock that user out
    from that address, on every node."""
    login_failures_address_max: AboveZero = 100
    """How many wrong passwords for any users from one IP address within a minute lock that address
    out, on every node."""
    lockout_s: AboveZero = 300
    """How long a user or an address stays locked out after too many wrong passwords."""
    ring_s: AboveZero = 20
    """How long the phones of a subscriber with the highest q value ring before those with the next
    lower one do."""
    flow_timer_s: AboveZero = 120
    """How long a phone's connection (flow, RFC 5626) lives without a sign of life. The farm tells
    phones this time, and they send keep-alives in time."""
    nat_ping_s: ZeroOrMore = 30
    """How often a node sends an OPTIONS request to each phone on UDP behind a NAT that registered
    with it, so that the NAT goes on letting requests in: some NATs forget a path that was silent
    for 30 s. The pings are spread evenly: a node sends phones / nat_ping_s a second. 0: never."""
    service_route: Routes = ()
    """The URIs along which phones are told to send their requests (Service-Route, RFC 3608), first
    hop first."""
    digest_algorithms: tuple[Literal["SHA-256", "MD5"], ...] = ("SHA-256", "MD5")
    """The digest algorithms that the farm offers to phones, in this order; RFC 8760 wants the
    strongest first. Some old phones look at the first challenge alone: for those, put MD5 first.
    Phones built on libre 1 (baresip 1.0 of Debian 12) give up where they see SHA-256 anywhere: for
    those, offer MD5 alone."""
    trusted_peers: TrustedPeers = ()
    """The gateways and other proxies whose P-Asserted-Identity the farm believes, and to which it
    tells identities that their owners keep private (RFC 3325)."""
    udp_bytes_max: ZeroOrMore = 2_600
    """The size above which a request, as it came, goes to a phone over TCP where the phone leaves
    the transport open; if TCP fails, it goes over UDP. For UDP packets of n fragments, the right
    value is n * 1480 - 360, because the farm adds up to 360 bytes. RFC 3261 18.1.1 allows one
    fragment; the default allows two, because many phones send such INVITEs and do not listen on
    TCP. 0: requests go over UDP whatever their size."""
    stop_s: StopSeconds = 10
    """How long Kamailio goes on answering at a stop after its node has left DNS, at the most: it
    stops as soon as no request has come for a second. Phones that have an older DNS answer are
    served meanwhile."""
    shared_memory_mib: AboveZero = 256
    """The size of Kamailio's shared memory; what is not used takes none of the machine's memory. An
    open connection takes 66 KiB over TCP, 118 over TLS, 134 over WebSocket and 189 over WebSocket
    over TLS. A node accepts (shared_memory_mib - 16) * 1024 / n connections, where n is the largest
    of those figures whose transport it serves."""

    @property
    def worker_count(self) -> int:
        """`workers`, on this machine."""
        return self.workers or max(2, len(os.sched_getaffinity(0)))

    @property
    def further_ports(self) -> dict[str, int]:
        """The ports of the transports besides UDP and TCP that are to be served, by name."""
        ports = {"tls": self.tls_port, "ws": self.ws_port, "wss": self.wss_port}
        return {name: port for name, port in ports.items() if port}


class BillingSection(Section, frozen=True, kw_only=True):
    """Call events, of which the billing records are made."""

    enabled: bool = True
    """Whether the farm writes a START event before it forwards the answer of a call, and a STOP
    event before it forwards the BYE."""
    when_unwritable: Literal["serve", "refuse"] = "serve"
    """What happens to new calls while no event can be written. `serve`: they go on without a
    record, and are counted. `refuse`: they are refused with 503."""
    attempts: bool = False
    """Whether the farm also writes an ATTEMPT event for a call that the called side refuses."""
    session_s: ZeroOrMore = 1_800
    """The Session-Expires (RFC 4028) that the farm asks for in each call, so that a call ends whose
    phone has vanished. Phones refresh their calls after half of it. 0: the farm does not ask."""
    session_min_s: AboveZero = 90
    """The Min-SE (RFC 4028) of the farm. A call that asks for a shorter Session-Expires is refused
    with 422."""
    close_grace_s: ZeroOrMore = 60
    """How long after the end of its Session-Expires a call is closed that was neither refreshed nor
    ended by a BYE."""
    retention_days: ZeroOrMore = 90
    """How many days after its last event a call is shown. It is deleted one day later, once every
    place that records are exported to has it. The same on every node. 0: calls are kept for
    ever."""
    call_max_s: AboveZero = 43_200
    """After how long a call without a session timer is closed whose BYE never came. Its record ends
    with the last sign of life, so that no second is billed that nobody can vouch for."""


class StorageSection(Section, frozen=True, kw_only=True):
    """The node's disk."""

    free_bytes_min: ZeroOrMore = 67_108_864
    """The least free space, in bytes, on the disk of `node.data_dir`. With less, the node refuses
    new calls and new subscribers, and keeps registrations in memory alone; calls that have begun
    are written to their end. What already waits for the disk must fit into this space, in the log
    and in the database: 2 * 20,000 rows of 1.6 KiB. 0: no limit."""


class MediaSection(Section, frozen=True, kw_only=True):
    """RTP relays (rtpengine), for phones that cannot send media to one another. The same on every
    node."""

    relays: Relays = ()
    """The control sockets (NG protocol) of the relays. The Call-ID of a call chooses one of those
    that answer. Empty: phones send their media to one another."""
    policy: Literal["all", "nat"] = "all"
    """Which calls go through a relay. `all`: every call. `nat`: calls in which the Contact of a
    phone is not the address that its packets come from, and calls between a browser and a phone
    that is not one."""
    answer_within_ms: AboveZero = 150
    """How long a Kamailio worker waits for the answer of a relay. It asks at most twice."""
    left_alone_s: AboveZero = 10
    """How long a relay that did not answer is not asked again."""
    when_unavailable: Literal["pass", "refuse"] = "pass"
    """What happens to new calls while no relay answers. `pass`: they go on without a relay.
    `refuse`: they are refused with 503."""


class DnsSection(Section, frozen=True, kw_only=True):
    """The farm's DNS zone, which PowerDNS on each node serves."""

    enabled: bool = True
    """Whether this node serves the farm's zone."""
    ttl_s: AboveZero = 60
    """The TTL of every DNS answer. Phones that lose a node go to another one of the answer that
    they have; they need no new answer for that."""
    port: Port = 53
    """The DNS port, on UDP and on TCP."""


class KafkaSection(Section, frozen=True, kw_only=True):
    """A Kafka topic that billing records are sent to."""

    brokers: Brokers = ()
    """Some of the cluster's brokers, by which the node finds the others. Empty: records are not
    sent to Kafka."""
    topic: Topic = "sipfarm-cdr"
    """The topic that records are sent to. The operator makes it, or the brokers do if they are set
    up to make topics on demand."""
    tls: bool = False
    """Whether the node connects to the brokers with TLS."""
    ca_file: str = ""
    """A PEM file with the CAs of the brokers' certificates. Empty: the CAs that the system
    trusts."""
    certificate_file: str = ""
    """A PEM file with the certificate that this node shows to brokers that ask for one. Empty: the
    node shows none."""
    key_file: str = ""
    """A PEM file with the key of `certificate_file`. Empty: the key is in `certificate_file`."""
    sasl: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    """The SASL mechanism by which the node proves to the brokers that it is `user`. Empty: it does
    not."""
    user: str = ""
    """The user name for `sasl`; it is empty where `sasl` is."""
    password_file: str = "/etc/sipfarm/kafka.password"
    """A file with the password of `user`."""


class ExportSection(Section, frozen=True, kw_only=True):
    """Where billing records go outside the farm. Every record goes to all places that are
    configured, at least once, with an id that stays the same. The same on every node."""

    files: tuple[Literal["csv", "jsonl"], ...] = ()
    """The formats of the files that billing records are written to, by the node that exports a
    record. Empty: no files are written."""
    directory: str = "/var/lib/sipfarm/cdr"
    """The directory of the files with billing records. A file whose name does not end in `.part` is
    complete."""
    rotate_s: AboveZero = 3_600
    """The age at which a file with billing records is completed and a new one begun."""
    rotate_mib: AboveZero = 64
    """The size at which a file with billing records is completed and a new one begun."""
    postgresql: str = ""
    """How to connect to the PostgreSQL database that takes billing records, in the words of libpq:
    `host=… dbname=… user=… passfile=…`, or a URL. Empty: no database takes them."""
    postgresql_table: Table = "cdr"
    """The table of the PostgreSQL database that records are written to, `table` or `schema.table`.
    The farm makes it if it is not there."""
    webhook: WebUrlOrEmpty = ""
    """The URL that billing records are posted to. Empty: records are not posted."""
    webhook_secret_file: str = "/etc/sipfarm/webhook.secret"
    """A file with the secret that posts to `webhook` are signed with."""
    kafka: KafkaSection = KafkaSection()


class DnsUpdateSection(Section, frozen=True, kw_only=True):
    """The farm's records in a zone of the operator's own name servers, kept up to date by dynamic
    update (RFC 2136)."""

    server: HostOrEmpty = ""
    """The primary server of the zone; the default port is 53. Empty: the farm updates no zone."""
    zone: str = ""
    """The zone that the farm's name is in. Empty: the farm's name is the zone."""
    key_file: str = "/etc/sipfarm/dns-update.key"
    """A file with the TSIG key, as `tsig-keygen` (BIND) or `keymgr -t` (Knot) writes it, or in one
    line `algorithm:name:secret`."""
    check_s: AboveZero = 60
    """How often the node that updates the zone checks that the farm's records are still there."""


class MetricsSection(Section, frozen=True, kw_only=True):
    """What a Prometheus server and other monitoring ask a node."""

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
