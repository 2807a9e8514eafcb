"""The parts that tell resolvers and PowerDNS which nodes serve.

In: a node's base parts. Out: these parts. Counterpart: `overlay.dns` documents each of them.
"""

from dataclasses import dataclass

from overlay.daemon.base_parts import BaseParts
from overlay.dns.farm_zone import FarmZone
from overlay.dns.publisher import Publisher
from overlay.dns.purging import Purging
from overlay.dns.server import DnsServer
from overlay.observe.part import Part


@dataclass(frozen=True, kw_only=True)
class DnsParts:
    """The DNS parts of one node."""

    zone: FarmZone
    publisher: Publisher
    server: DnsServer
    purging: Purging
    enabled: bool
    """Whether a PowerDNS on this node asks."""

    @property
    def for_powerdns(self) -> tuple[Part, ...]:
        """The parts that a node without a PowerDNS does not start."""
        return (self.server, self.purging) if self.enabled else ()

    def changed(self) -> None:
        """Name other nodes than before, as the farm changed."""
        self.zone.changed()
        self.publisher.farm_changed()
        self.purging.zone_changed()


def build_dns(base: BaseParts) -> DnsParts:
    """Make the DNS parts."""
    config, membership = base.config, base.membership
    zone = FarmZone(config, membership, base.now_ms)
    return DnsParts(
        zone=zone,
        publisher=Publisher(
            config,
            base.own_id,
            lambda: (info.node_id for info in membership.alive()),
            zone.view,
            base.parts.chance,
        ),
        server=DnsServer(config.dns_socket, zone.view),
        purging=Purging(config.pdns_control_socket, config.farm.name),
        enabled=config.dns.enabled,
    )
