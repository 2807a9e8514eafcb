"""Which trunk a call takes, and in which order its gateways are tried.

In: the farm's settings, and what was dialled. Out: the gateways to try, the first one first. Pure
functions, with the same result on every node. Counterparts: `routes/trunks.py` sends; `sipfarm
trunk route` explains.
"""

import ipaddress
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import blake2s
from typing import Final, Self

from overlay.base.joined import joined
from overlay.records.settings import FarmSettings, Gateway, Trunk
from proxy import telephone_numbers

_SOS: Final = "urn:service:sos"
"""The emergency service (RFC 5031); its subservices begin with the same text."""
_LONGEST_PREFIX: Final = 16

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class GatewayTarget:
    """One attempt of a call: a gateway, and the Request-URI for it."""

    trunk: str
    uri: str
    """Request-URI to leave with."""
    hop: str
    """URI of the gateway."""


@dataclass(frozen=True, slots=True)
class TrunkTable:
    """The farm's settings in the form in which calls look them up."""

    settings: FarmSettings
    by_prefix: dict[str, Trunk]
    by_domain: dict[str, Trunk]
    by_source: dict[str, Trunk]
    networks: tuple[tuple[Network, Trunk], ...]
    down: frozenset[str]
    knows_sources: bool
    """Whether any trunk sends calls from addresses that are known."""

    @classmethod
    def of(cls, settings: FarmSettings, down: Iterable[str] = ()) -> Self:
        """The table of these settings; `down` has the URIs of gateways that do not answer.

        If two trunks have the same prefix, domain or source, it belongs to the first one.
        """
        by_prefix: dict[str, Trunk] = {}
        by_domain: dict[str, Trunk] = {}
        by_source: dict[str, Trunk] = {}
        networks: list[tuple[Network, Trunk]] = []
        for trunk in settings.trunks:
            for prefix in trunk.prefixes:
                by_prefix.setdefault(prefix, trunk)
            for domain in trunk.domains:
                by_domain.setdefault(domain.lower(), trunk)
            for source in trunk.sources:
                network = ipaddress.ip_network(source)
                if network.num_addresses == 1:
                    by_source.setdefault(str(network.network_address), trunk)
                else:
                    networks.append((network, trunk))
        return cls(
            settings,
            by_prefix,
            by_domain,
            by_source,
            tuple(networks),
            frozenset(down),
            knows_sources=bool(by_source or networks),
        )

    def from_source(self, address: str) -> Trunk | None:
        """The trunk whose calls come from this address; None if there is none."""
        try:
            parsed = ipaddress.ip_address(address.strip("[]"))
        except ValueError:
            return None
        found = self.by_source.get(str(parsed))
        if found is not None:
            return found
        return next((trunk for network, trunk in self.networks if parsed in network), None)

    def to_number(self, number: str) -> tuple[Trunk, str] | None:
        """The trunk with the longest prefix of a number in E.164, and that prefix; None if no trunk
        has one."""
        for length in range(min(len(number), _LONGEST_PREFIX), 0, -1):
            trunk = self.by_prefix.get(number[:length])
            if trunk is not None:
                return trunk, number[:length]
        return None

    def number_of(self, user: str) -> str:
        """The number that was dialled, in E.164; empty if it is no number."""
        return telephone_numbers.normalised(user, self.settings.numbering)

    def emergency(self, request_uri: str, user: str) -> str:
        """The emergency number that is called. It is empty for all other calls, and where no trunk
        takes emergency calls."""
        emergency = self.settings.emergency
        if not emergency.trunks:
            return ""
        service = request_uri.lower().partition(";")[0]
        if service == _SOS or service.startswith(f"{_SOS}."):
            return emergency.service
        number = telephone_numbers.digits_of(user)
        return number if number in emergency.numbers else ""

    def emergency_targets(self, number: str, call_id: str) -> tuple[GatewayTarget, ...]:
        """Every gateway of every trunk that takes emergency calls."""
        found = (self.settings.trunk(name) for name in self.settings.emergency.trunks)
        return tuple(
            target
            for trunk in found
            if trunk is not None
            for target in _targets(trunk, number, call_id, self.down)
        )

    def number_targets(self, trunk: Trunk, number: str, call_id: str) -> tuple[GatewayTarget, ...]:
        """The gateways of a trunk for a number in E.164, which leaves in the form that the carrier
        wants."""
        return _targets(trunk, telephone_numbers.rewritten(number, trunk.dial), call_id, self.down)

    def domain_targets(
        self, trunk: Trunk, request_uri: str, call_id: str
    ) -> tuple[GatewayTarget, ...]:
        """The gateways of a trunk for a Request-URI that leaves as it is."""
        ordered = in_order(trunk.gateways, call_id, self.down)
        return tuple(GatewayTarget(trunk.name, request_uri, gateway.uri) for gateway in ordered)


NO_TRUNKS: Final = TrunkTable.of(FarmSettings())


def in_order(
    gateways: Iterable[Gateway], call_id: str, down: Collection[str] = ()
) -> list[Gateway]:
    """The gateways in the order in which a call tries them: those that are down last, then by
    priority. Gateways of the same priority are drawn by weight, with the Call-ID as the dice."""
    return sorted(
        gateways,
        key=lambda each: (each.uri in down, each.priority, _draw(each, call_id), each.uri),
    )


def _draw(gateway: Gateway, call_id: str) -> float:
    """Weighted rendezvous hashing (the lowest number is first). A gateway is first with the
    probability of its weight over the sum of weights, and adding or removing one moves only the
    calls that are its own."""
    if not gateway.weight:
        return math.inf
    dice = int.from_bytes(blake2s(joined(gateway.uri, call_id), digest_size=6).digest(), "big")
    return -math.log((dice + 1) / (1 << 48)) / gateway.weight


def _targets(
    trunk: Trunk, user: str, call_id: str, down: Collection[str]
) -> tuple[GatewayTarget, ...]:
    # An unescaped `#` may not stand in a user part (RFC 3261 25.1).
    user = user.replace("#", "%23")
    return tuple(
        GatewayTarget(trunk.name, f"sip:{user}@{each.address};transport={each.transport}", each.uri)
        for each in in_order(trunk.gateways, call_id, down)
    )
