"""Finds addresses of the farm, for a node that has no peer.

In: the configured addresses, the farm's DNS name and, where enabled, the local network. Out:
addresses to dial. Counterpart: `membership.py`, which asks as long as it is alone. The addresses
need no trust: a node that answers a dial proves by its certificate that it belongs to the farm.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, cast

import dns.asyncresolver
import dns.exception
import dns.rdtypes.IN.SRV

from overlay.base.addresses import HostPort, split_address
from overlay.base.limits import DISCOVERED_ADDRESSES_MAX
from overlay.config.config import Config
from overlay.observe.part import Part

if TYPE_CHECKING:
    from overlay.membership.neighbours import Neighbours

SRV_LABEL: Final = "_sipfarm-overlay._tcp"
DNS_TIMEOUT_S: Final = 1.0


class Discovery(Part):
    """Finds addresses for one node."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._neighbours: Neighbours | None = None

    async def start(self) -> None:
        """Announce this node on the local network and listen for others, if that is enabled."""
        if self._config.overlay.mdns:
            # Most farms do not need this library, which costs 50 ms of every start, and memory.
            from overlay.membership.neighbours import Neighbours

            self._neighbours = Neighbours(self._config)
            await self._neighbours.start()

    async def stop(self) -> None:
        """Withdraw this node's announcement."""
        if self._neighbours is not None:
            await self._neighbours.stop()

    async def find(self) -> AsyncIterator[list[HostPort]]:
        """The addresses known here, then those from DNS, which take a few seconds at most.

        Never raises.
        """
        port = self._config.overlay.port
        configured = [split_address(entry, port) for entry in self._config.overlay.bootstrap]
        heard = self._neighbours.addresses if self._neighbours is not None else []
        yield list(dict.fromkeys([*configured, *heard]))[:DISCOVERED_ADDRESSES_MAX]
        yield list(dict.fromkeys(await self._named()))[:DISCOVERED_ADDRESSES_MAX]

    async def _named(self) -> list[HostPort]:
        """The addresses under the farm's name in DNS: from SRV records, else from address
        records."""
        farm, port = self._config.farm.name, self._config.overlay.port
        found: list[HostPort] = []
        for target, target_port in await services(f"{SRV_LABEL}.{farm}") or [(farm, port)]:
            found += await addresses(target, target_port)
        return found


async def services(name: str) -> list[HostPort]:
    """The targets of this SRV name, the best first; none if DNS does not answer in time."""
    try:
        # Made anew each time, as resolv.conf may have changed.
        resolver = dns.asyncresolver.Resolver()
        answer = await resolver.resolve(name, "SRV", lifetime=DNS_TIMEOUT_S)
    except (dns.exception.DNSException, OSError):
        return []
    records = [cast(dns.rdtypes.IN.SRV.SRV, record) for record in answer]
    records.sort(key=lambda record: (record.priority, -record.weight))
    return [(record.target.to_text(omit_final_dot=True), record.port) for record in records]


async def addresses(host: str, port: int) -> list[HostPort]:
    """The addresses of a host; none if it has none, or if DNS does not answer in time."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(DNS_TIMEOUT_S):
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        return []
    return [(str(info[4][0]), port) for info in infos]
