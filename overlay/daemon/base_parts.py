"""The parts that all others need: a node's disk, its links, and the members that it knows.

In: configuration, identity, and the makers of `parts.py`. Out: these parts. The disk is open, but
the links do not listen yet. Counterparts: the other `..._parts.py` of this package build on them.
"""

import logging
from dataclasses import dataclass

from overlay.base.errors import StorageError
from overlay.base.version import VERSION
from overlay.billing.retention import horizon_us
from overlay.config.config import Config
from overlay.daemon.lifecycle import Lifecycle
from overlay.daemon.parts import Parts
from overlay.enrollment.renewal import Renewal
from overlay.identity import sip_certificate
from overlay.identity.identity import Identity
from overlay.kamailio.watcher import KamailioWatcher
from overlay.links.member_claims import next_incarnation
from overlay.links.network import Network, hello_of
from overlay.membership import scrape_targets
from overlay.membership.discovery import Discovery
from overlay.membership.membership import Membership
from overlay.records.clock import HybridClock
from overlay.records.node_info import NodeInfo, Traits
from overlay.replication.vetting import Vetting
from overlay.storage.bindings import Bindings
from overlay.storage.committer import Committer
from overlay.storage.rows import IncarnationRow
from overlay.storage.subscribers import StoredSubscribers

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BaseParts:
    """The base parts of one node."""

    config: Config
    parts: Parts
    identity: Identity
    """The identity that the node started with. `renewal` has the latest."""
    own: NodeInfo
    """The node as it was at its start. `membership` has it as it is now."""
    incarnation: int
    """A number that no earlier run of this node had."""
    clock: HybridClock
    vetting: Vetting
    committer: Committer
    bindings: Bindings
    subscribers: StoredSubscribers
    kamailio: KamailioWatcher | None
    network: Network
    discovery: Discovery
    membership: Membership
    renewal: Renewal

    @property
    def own_id(self) -> bytes:
        """This node's id."""
        return self.own.node_id

    def now_ms(self) -> int:
        """Unix time in ms."""
        return self.parts.now_ms()

    def horizon_us(self) -> int:
        """Calls without an event since this time have expired (`overlay.billing.retention`)."""
        return horizon_us(self.now_ms(), self.config.billing.retention_days)

    def node_names(self) -> list[str]:
        """The names of all nodes, this one first."""
        return [self.own.name, *(member.info.name for member in self.membership.members)]


async def build_base(
    config: Config, identity: Identity, parts: Parts, life: Lifecycle
) -> BaseParts:
    """Open the disk, read what it remembers, and ask Kamailio whether it answers.

    Raises `StorageError` or `OSError` if the files cannot be had.
    """
    committer, bindings = parts.storage(config, parts.now_ms)
    await life.start(committer, bindings)
    kamailio = parts.kamailio(config) if parts.kamailio is not None else None
    if kamailio is not None:
        # No other node has heard of this node yet. So what it says of itself is right from the
        # start.
        await life.start(kamailio)
    own = _own(config, identity, proxy_away=bool(kamailio is not None and kamailio.away))
    subscribers = StoredSubscribers(await committer.read(lambda db: db.subscribers()))
    known = await committer.read(lambda db: db.peers())
    incarnation = await _new_incarnation(committer, parts)
    network = parts.network(identity, hello_of(identity, own, incarnation, VERSION))
    discovery = parts.discovery(config)
    return BaseParts(
        config=config,
        parts=parts,
        identity=identity,
        own=own,
        incarnation=incarnation,
        clock=HybridClock(parts.now_ms),
        vetting=Vetting(identity.operator),
        committer=committer,
        bindings=bindings,
        subscribers=subscribers,
        kamailio=kamailio,
        network=network,
        discovery=discovery,
        membership=Membership(
            own,
            config.overlay,
            network,
            parts.chance,
            discovery.find,
            incarnation,
            parts.now_ms,
            known,
        ),
        renewal=Renewal(config, identity, parts.chance),
    )


def _own(config: Config, identity: Identity, *, proxy_away: bool) -> NodeInfo:
    return NodeInfo(
        node_id=identity.node_id,
        name=identity.name,
        host=identity.address,
        port=config.overlay.port,
        traits=Traits(
            zone=config.node.zone,
            capacity=config.node.capacity,
            transports=sip_certificate.servable(config),
            address6=config.node.address6,
            proxy_away=proxy_away,
            software=VERSION,
            metrics=scrape_targets.told_by(config),
        ),
    )


async def _new_incarnation(committer: Committer, parts: Parts) -> int:
    before = await committer.read(lambda db: db.incarnation())
    incarnation = next_incarnation(before, parts.now_ms())
    try:
        await committer.commit_wait(IncarnationRow(value=incarnation))
    except StorageError as error:
        log.error("the incarnation cannot be stored: %s", error)
    return incarnation
