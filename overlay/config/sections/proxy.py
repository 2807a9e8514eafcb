"""`[proxy]`, `[media]`: what Kamailio does with phones, gateways and media.

In: nothing. Out: types of sections. Counterparts: the routes in proxy/, and the template
`proxy/kamailio.cfg.j2`.
"""

import os
from typing import Literal

from overlay.config.sections.section import Section
from overlay.config.values import (
    AboveZero,
    ExpiresDefault,
    Origins,
    Port,
    PortOrZero,
    Relays,
    Routes,
    StopSeconds,
    TrustedPeers,
    UpToHalf,
    ZeroOrMore,
)


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
    share one address, leave room for all of them to come back after a power cut. The limit also
    bounds the memory that one address may fill: each worker remembers 16 KiB of INVITEs for each of
    these requests, over 200 s, and answers 503 to more. With 500, that is about 40 INVITEs of 1 KiB
    a second in each worker: name a PBX that calls more often in `trusted_peers`, or make it a
    trunk. 0: no limit, neither of requests nor of memory."""
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
        """`workers`, or the number that 0 stands for on this machine."""
        return self.workers or max(2, len(os.sched_getaffinity(0)))

    @property
    def further_ports(self) -> dict[str, int]:
        """The ports of all transports that the node serves besides UDP and TCP, by the transport's
        name."""
        ports = {"tls": self.tls_port, "ws": self.ws_port, "wss": self.wss_port}
        return {name: port for name, port in ports.items() if port}


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
