"""The sections of the node's configuration, a sentence for every setting.

In: nothing. Out: the types of `overlay.config.Config`. The names in TOML, in Python and in the
documentation are the same. Counterpart: `config_checks.py` says which values make no sense.
"""

import os
from typing import Literal

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each has in common."""


class Farm(Section, frozen=True, kw_only=True):
    """What is the same on every node."""

    name: str
    """The SIP domain that phones are configured with, and the name in Via and Record-Route."""


class Node(Section, frozen=True, kw_only=True):
    """What tells this node from the others."""

    name: str
    """One DNS label; `name.farm` is the node's host name."""
    address: str
    """The address that phones and peers reach this node at, IPv4 or IPv6."""
    address6: str = ""
    """An IPv6 address that phones reach this node at as well. Peers and the certificate know
    `address` alone."""
    data_dir: str = "/var/lib/sipfarm"
    """What must survive a restart: the databases."""
    run_dir: str = "/run/sipfarm"
    """Unix sockets: control.sock, dns.sock, redis.sock, kamailio.sock; two small JSON files."""
    identity_dir: str = "/etc/sipfarm"
    """node.key, node.pem, ca.pem, operator.pem, farm.secret."""
    zone: str = ""
    """What fails together with this node: a rack, a site. The replicas of a record are spread over
    the zones. All nodes have one, or none."""
    capacity: int = 100
    """Weight of this node in the farm's SRV records, from 0 to 65535: phones that follow RFC 2782
    come in that proportion."""


class Overlay(Section, frozen=True, kw_only=True):
    """Links, membership and replication."""

    port: int = 7460
    """TCP port of the links, mutual TLS 1.3."""
    bootstrap: tuple[str, ...] = ()
    """`address:port` of any live nodes; the farm's DNS name (`_sipfarm-overlay._tcp` SRV, else its
    addresses) is asked as well."""
    mdns: bool = False
    """Announce this node on the local network by multicast DNS, and look for the farm there."""
    replicas: int = 3
    """N: nodes that hold a record, the nearest to its key."""
    write_quorum: int = 2
    """W: replicas that must have a write before it is acknowledged; at most N."""
    read_quorum: int = 2
    """R: replicas that must answer a read; W + R > N, so that a read meets the last write."""
    links_kept: int = 200
    """Up to so many other nodes, every node keeps a link to every other. In a larger farm it keeps
    so many: links_kept / 2 to the nearest by id, the rest spread over the id space; links to others
    are opened for requests."""
    link_idle_ms: int = 60_000
    """Beyond links_kept: after so long without a request, a link that was opened for one is closed.
    Above lease_ms, so that leases rarely end with a link."""
    bucket_size: int = 1_024
    """k of the routing table. Above the farm's size, the table is the farm: one hop; below, who
    holds a record far away is asked of others: about log2(nodes / bucket_size) / log2(bucket_size)
    hops more."""
    lookup_parallel: int = 3
    """alpha: questions of one lookup under way at a time."""
    request_timeout_ms: int = 500
    """How long a peer may take to answer one request."""
    probe_interval_ms: int = 250
    """How often a node probes one of the others, in turns by the wall clock: as long as clocks
    agree each is probed that often, by one after the other, whatever the farm's size. In farms of
    more than links_kept nodes turns are left to chance, and 2.5 times as frequent."""
    probe_timeout_ms: int = 150
    """How long a probe may go unanswered before others are asked to probe, and again before the
    peer is suspected; both times probe_timeout_ms * (1 + health score)."""
    probe_helpers: int = 3
    """k: how many others are asked to probe a silent peer."""
    health_score_max: int = 4
    """Upper end of the health score: +1 for every own probe that failed without a sign of life from
    the helpers, for every suspicion of this very node, +2 for own timers late by more than
    probe_timeout_ms; -1 for every probe answered in time."""
    suspicion_min_ms: int = 250
    """A suspect is dead after max(min, max - (max - min) * log(C + 1) / log(K + 1)), with C nodes
    that confirm the suspicion, min = suspicion_min_ms * max(1, log10(nodes)), and
    max = suspicion_max_factor * min."""
    suspicion_max_factor: int = 4
    """What a suspicion that nobody confirms is multiplied by."""
    suspicion_confirmations: int = 3
    """K: min(suspicion_confirmations, nodes - 2) others suspecting the same bring the shortest
    timeout."""
    gossip_multiplier: int = 3
    """lambda: each node tells each update to gossip_multiplier * ln(nodes) of the peers
    it is linked to."""
    gossip_interval_ms: int = 20
    """Between tellings, while there is something to tell; the first is at once."""
    gossip_fanout: int = 4
    """How many peers are told at a time."""
    redial_ms: int = 500
    """A peer without a link is dialled again after redial_ms * 2^(failures - 1) * (1 to 2, by
    chance)."""
    redial_max_ms: int = 4_000
    """Longest wait between dials, before chance: a healed cut is closed within about twice this."""
    lease_ms: int = 30_000
    """How long a node may serve a binding that it read, without asking again; a change is pushed
    to it before that."""
    repair_interval_ms: int = 10_000
    """How often a node compares what it holds with the other replicas, a slice at a time."""


class Proxy(Section, frozen=True, kw_only=True):
    """What Kamailio is given."""

    port: int = 5060
    """SIP port, UDP and TCP."""
    tls_port: int = 0
    """TCP port of SIP over TLS, 5061 by RFC 3261; 0: not served. The same on every node."""
    tls_certificate: str = "/etc/sipfarm/sip.pem"
    """PEM: the certificate that phones are shown, and those between it and their CA. It names the
    farm (RFC 5922); `node.farm` as well, if other nodes are to check it."""
    tls_key: str = "/etc/sipfarm/sip.key"
    """PEM: its private key."""
    tls_ca: str = "/etc/ssl/certs/ca-certificates.crt"
    """PEM: the CAs of SIP servers that this node connects to, the farm's other nodes among them."""
    ws_port: int = 0
    """TCP port of SIP over WebSocket (RFC 7118), for a reverse proxy that speaks TLS; 0: not
    served."""
    wss_port: int = 0
    """TCP port of SIP over WebSocket over TLS, with the certificate of TLS; 0: not served."""
    ws_origins: tuple[str, ...] = ()
    """Where browsers must have their page from to connect by WebSocket, as
    `https://phone.example.net`; empty: from anywhere. A client that tells no Origin is no browser,
    and is let in."""
    workers: int = 0
    """Worker processes of a UDP socket, and of all connections; each has one request under way. 0:
    one a core, at least two. More cost CPU, as the kernel wakes them in turn and each comes to cold
    caches (on two cores a call takes a third less with two than with four); fewer than billed
    calls a second x 2 x seconds that a write takes make calls wait for the disk."""
    authenticate: bool = True
    """Digest for REGISTER, and for requests whose From is one of the farm's subscribers."""
    lookup_deadline_ms: int = 150
    """How long a worker waits for the daemon to locate, authenticate or register."""
    event_deadline_ms: int = 400
    """How long a worker waits until a call event is safe; below T1 (RFC 3261 17.1.1.1, 500 ms)."""
    expires_min_s: int = 60
    """Shorter registrations are refused with 423 (RFC 3261 10.3 step 7)."""
    expires_max_s: int = 3600
    """Longer registrations are shortened to this."""
    expires_default_s: int = 3600
    """For a REGISTER that asks for nothing."""
    expires_jitter: float = 0.1
    """Registrations of twice `expires_min_s` and more are shortened by up to this share (RFC 3261
    10.3 step 7 lets a registrar), so that phones which all came at once, as after a power cut, do
    not all come back at once: 50,000 that ask for 3600 s come within six minutes the next time, 139
    a second, and ever more evenly after that. 0 to 0.5; 0: as asked."""
    contacts_max: int = 10
    """Bindings an address-of-record may have, unless the subscriber has a limit of his own."""
    source_requests_per_s_max: int = 500
    """Requests outside of dialogs that one address may send; more is dropped, except emergency
    calls and what trunks and `trusted_peers` send. Many phones behind one address need room to come
    back after a power cut. 0: no limit."""
    shed_delay_ms: int = 50
    """New requests are refused with 503 while messages wait for a worker longer than this, or while
    a worker that serves connections has had no rest for longer, and have done so for twice as long:
    what gathers while the disk or the machine stands still for a moment is served. The longer they
    wait, the more are refused, all at one and a half times this; from there on REGISTERs and
    answers to challenges, too, all at twice this. Or, at once, while the UDP socket's memory (4
    MiB, or what net.core.rmem_max allows) is more than half full, all at three quarters, and when
    it is full. Never requests in dialogs, nor emergency calls. An answer waits like its request
    did: with a fifth of T1 (RFC 3261 17.1.1.1, 500 ms), phones of a busy node begin to repeat their
    INVITEs, which makes it busier. 0: nothing is refused for this."""
    login_failures_max: int = 10
    """Wrong passwords of one user from one address within a minute that lock him out from there,"""
    login_failures_address_max: int = 100
    """and of anybody from one address that lock out the address, on every node,"""
    lockout_s: int = 300
    """for so long."""
    ring_s: int = 20
    """How long the phones with the highest q ring before those with a lower one do."""
    flow_timer_s: int = 120
    """What phones with flows (RFC 5626) are told: how long a flow lives without a sign of life."""
    nat_ping_s: int = 30
    """How often a phone on UDP behind a NAT is sent an OPTIONS by the node that it registered at,
    so that the NAT goes on letting requests in: some forget a way that was silent for 30 s. The
    pings of a node are spread evenly: phones / nat_ping_s a second. 0: never."""
    service_route: tuple[str, ...] = ()
    """URIs that phones are told to send their requests along (RFC 3608), first hop first."""
    digest_algorithms: tuple[Literal["SHA-256", "MD5"], ...] = ("SHA-256", "MD5")
    """Offered in this order; RFC 8760 wants the strongest first. Some old clients look at the first
    challenge alone: for those, put MD5 first. Those built on libre 1 (baresip 1.0 of Debian 12)
    give up where they see SHA-256 anywhere: for those, offer MD5 alone."""
    trusted_peers: tuple[str, ...] = ()
    """Addresses, networks and domain names of gateways and other proxies whose P-Asserted-Identity
    is believed, and that are told identities that their owners keep private (RFC 3325)."""
    udp_bytes_max: int = 2_600
    """A call or message longer than this, as it came, is sent over TCP to a phone that leaves the
    transport open, and over UDP if that fails: frames * 1480 - 360, the latter for what the farm
    adds. RFC 3261 18.1.1 wants one frame; many phones send such INVITEs every day and do not listen
    on TCP, and two fragments do get through. 0: over UDP whatever its length."""
    shared_memory_mib: int = 256
    """Kamailio's shared memory; what is not used takes none of the machine's. An open connection
    takes 66 KiB over TCP, 118 over TLS, 134 over WebSocket, 189 over both. So many connections are
    taken: (shared_memory_mib - 16) * 1024 / the most that one of those takes that are served."""

    @property
    def worker_count(self) -> int:
        """`workers`, on this machine."""
        return self.workers or max(2, len(os.sched_getaffinity(0)))

    @property
    def further_ports(self) -> dict[str, int]:
        """The ports of the transports besides UDP and TCP that are to be served, by name."""
        ports = {"tls": self.tls_port, "ws": self.ws_port, "wss": self.wss_port}
        return {name: port for name, port in ports.items() if port}


class Billing(Section, frozen=True, kw_only=True):
    """Call events."""

    enabled: bool = True
    """Write START and STOP events before the message is forwarded."""
    when_unwritable: Literal["serve", "refuse"] = "serve"
    """What happens to new calls while no event can be written: go on and count, or 503."""
    attempts: bool = False
    """Also write ATTEMPT for calls that the callee refuses."""
    session_s: int = 1_800
    """Session-Expires (RFC 4028) that calls are asked for, so that a phone that vanished does not
    talk for ever: phones refresh at half of it. 0: calls are not asked."""
    session_min_s: int = 90
    """Min-SE: a shorter one is refused with 422."""
    close_grace_s: int = 60
    """A call is closed without a BYE when it was not refreshed for its Session-Expires and this."""
    retention_days: int = 90
    """Calls are shown for so many days after their last event, and deleted a day later, once every
    sink has them. The same on every node. 0: kept for ever."""
    call_max_s: int = 43_200
    """A call that nobody refreshes is closed after this. Its record ends with its last proof of
    life: no second is billed that nobody can vouch for."""


class Storage(Section, frozen=True, kw_only=True):
    """The node's disk."""

    free_bytes_min: int = 67_108_864
    """With less free space where `node.data_dir` is, new calls and new subscribers are refused, and
    registrations are kept in memory alone; calls that have begun write on. What waits for the disk
    already must fit, in the log and in the file: 2 * 20,000 rows of 1.6 KiB. 0: no floor."""


class Media(Section, frozen=True, kw_only=True):
    """RTP relays (rtpengine) that media go through, for phones that cannot send to one another. The
    same on every node."""

    relays: tuple[str, ...] = ()
    """Control sockets (NG protocol) as `udp:192.0.2.20:2223`; a call's relay is chosen among those
    that answer, by its Call-ID. Empty: phones send their media to one another."""
    policy: Literal["all", "nat"] = "all"
    """Which calls: all, or those where a phone's Contact is not where its packets come from, or
    where one phone is a browser and the other is not."""
    answer_within_ms: int = 150
    """How long a worker waits for a relay, twice at most."""
    left_alone_s: int = 10
    """How long a relay that did not answer is not asked."""
    when_unavailable: Literal["pass", "refuse"] = "pass"
    """Calls while no relay answers go on as they are, or are refused with 503."""


class Dns(Section, frozen=True, kw_only=True):
    """The farm's zone, served by PowerDNS on each node."""

    enabled: bool = True
    ttl_s: int = 60
    """TTL of every answer; phones fail over inside the set that they have."""
    port: int = 53


class Kafka(Section, frozen=True, kw_only=True):
    """A topic that billing records are sent to, `[export.kafka]`."""

    brokers: tuple[str, ...] = ()
    """`address:port` of some of the cluster's brokers, to find the others by. Empty: no topic."""
    topic: str = "sipfarm-cdr"
    """Made by the operator, or by brokers that make topics when they are asked for."""
    tls: bool = False
    ca_file: str = ""
    """Whose certificates brokers have, in PEM; empty: the system's."""
    certificate_file: str = ""
    """This client's certificate, where brokers want one; its key in the same file,"""
    key_file: str = ""
    """or here."""
    sasl: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    """How to prove who this is, with `user` and password; empty: not at all."""
    user: str = ""
    password_file: str = "/etc/sipfarm/kafka.password"


class Export(Section, frozen=True, kw_only=True):
    """Where billing records go outside the farm: every one to all of these, at least once, with a
    stable id. The same on every node."""

    files: tuple[Literal["csv", "jsonl"], ...] = ()
    """Files to write, in the directory of the node that exports a record."""
    directory: str = "/var/lib/sipfarm/cdr"
    """Where they are; a file without `.part` at its end is complete."""
    rotate_s: int = 3_600
    """A file is finished after so long,"""
    rotate_mib: int = 64
    """or when it has this size."""
    postgresql: str = ""
    """How to connect, as libpq takes it: `host=… dbname=… user=… passfile=…`, or a URL. Empty: no
    database."""
    postgresql_table: str = "cdr"
    """`table` or `schema.table`; made if it is not there."""
    webhook: str = ""
    """An http or https URL that records are posted to. Empty: none."""
    webhook_secret_file: str = "/etc/sipfarm/webhook.secret"
    """What the posts are signed with."""
    kafka: Kafka = Kafka()


class DnsUpdate(Section, frozen=True, kw_only=True):
    """The farm's records in a zone of the operator's own name servers, by dynamic update."""

    server: str = ""
    """`address:port` of the zone's primary. Empty: nothing is published."""
    zone: str = ""
    """The zone that the farm's name is in; empty: the farm's name is the zone."""
    key_file: str = "/etc/sipfarm/dns-update.key"
    """The TSIG key, as `tsig-keygen` (BIND) or `keymgr -t` (Knot) writes it, or in a line
    `algorithm:name:secret`."""
    check_s: int = 60
    """How often the publishing node looks whether what it published is still there."""


class Metrics(Section, frozen=True, kw_only=True):
    """Prometheus."""

    port: int = 9464
    """HTTP port of /metrics, /live and /ready."""


class Enrollment(Section, frozen=True, kw_only=True):
    """Where this node's certificate comes from."""

    service: str = ""
    """`address:port` of the operator's `sipfarm ca serve`, where the daemon has its certificate
    renewed when a third of its lifetime is left. Empty: that is done by hand."""
