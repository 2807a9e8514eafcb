"""`[overlay]`: how the nodes work together.

In: nothing. Out: a type of section. Counterparts: `overlay.links`, `overlay.membership`,
`overlay.dht` and `overlay.replication`.
"""

from overlay.config.sections.section import Section
from overlay.config.values import (
    AboveZero,
    Hosts,
    Port,
    Quorum,
)


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
