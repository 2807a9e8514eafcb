"""The farm's zone as one node sees it.

In: the members, and calls when they change. Out: a `ZoneView` whose serial grows with each change.
Counterparts: `server.py` serves it to PowerDNS; `publisher.py` publishes it elsewhere.
"""

from collections.abc import Callable

from overlay.config.config import Config
from overlay.dns.zone import ZoneNode, ZoneView
from overlay.membership.members import State
from overlay.membership.membership import Membership
from overlay.records.node_info import NodeInfo, Traits

GOOD = (State.ALIVE, State.SUSPECT)
"""A suspect counts as alive here: it is a suspect for a short time only, and most suspects
refute."""


class FarmZone:
    """One node's view of the zone."""

    def __init__(self, config: Config, membership: Membership, now_ms: Callable[[], int]) -> None:
        self._config = config
        self._membership = membership
        self._now_ms = now_ms
        self._changed_s = now_ms() // 1000

    def changed(self) -> None:
        """Note that a member came or went, or that its records should change."""
        self._changed_s = max(self._changed_s + 1, self._now_ms() // 1000)

    def view(self) -> ZoneView:
        """The zone as it is now."""
        nodes = [_zone_node(self._membership.own, live=True)]
        nodes += [_zone_node(m.info, live=m.state in GOOD) for m in self._membership.members]
        return ZoneView(
            farm=self._config.farm.name,
            nodes=tuple(sorted(nodes, key=lambda node: node.name)),
            ttl_s=self._config.dns.ttl_s,
            sip_port=self._config.proxy.port,
            transport_ports=self._config.proxy.further_ports,
            overlay_port=self._config.overlay.port,
            serial=self._changed_s,
        )


def _zone_node(info: NodeInfo, *, live: bool) -> ZoneNode:
    traits = info.traits or Traits()
    return ZoneNode(
        name=info.name,
        addresses=(info.host, *((traits.address6,) if traits.address6 else ())),
        weight=traits.capacity,
        transports=frozenset(traits.transports),
        live=live and not traits.draining,
        serving=not traits.proxy_away,
    )
