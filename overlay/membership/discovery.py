"""Where to look for the farm, for a node that has no peer.

In: the configured addresses, the farm's DNS name, and, where enabled, the local network. Out:
addresses to dial. Counterpart: `membership.py`, which asks as long as it is alone. Nothing here is
believed: who answers a dial proves by certificate that it belongs to the farm.
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

if TYPE_CHECKING:
    from overlay.membership.neighbours import Neighbours

SRV_LABEL: Final = "_sipfarm-overlay._tcp"
DNS_TIMEOUT_S: Final = 1.0


class Discovery:
    """Finds addresses for one node."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._neighbours: Neighbours | None = None

    async def start(self) -> None:
        """Begin to tell and to hear who is on the local network, if that is enabled."""
        if self._config.overlay.mdns:
            # A library that most farms do not need: 50 ms of every start, and memory.
            from overlay.membership.neighbours import Neighbours

            self._neighbours = Neighbours(self._config)
            await self._neighbours.start()

    async def stop(self) -> None:
        """Take this node's announcement back."""
        if self._neighbours is not None:
            await self._neighbours.stop()

    async def find(self) -> AsyncIterator[list[HostPort]]:
        """Where to look: what is known here, then what DNS says, which takes some seconds at most.

        Never raises.
        """
        port = self._config.overlay.port
        configured = [split_address(entry, port) for entry in self._config.overlay.bootstrap]
        heard = self._neighbours.addresses if self._neighbours is not None else []
        yield list(dict.fromkeys([*configured, *heard]))[:DISCOVERED_ADDRESSES_MAX]
        yield list(dict.fromkeys(await self._named()))[:DISCOVERED_ADDRESSES_MAX]

    async def _named(self) -> list[HostPort]:
        """What DNS has under the farm's name: SRV, or at least addresses."""
        farm, port = self._config.farm.name, self._config.overlay.port
        found: list[HostPort] = []
        for target, target_port in await services(f"{SRV_LABEL}.{farm}") or [(farm, port)]:
            found += await addresses(target, target_port)
        return found


async def services(name: str) -> list[HostPort]:
    """Where DNS has this service (SRV), the best first; nothing if it says nothing in time."""
    try:
        # Made anew each time: resolv.conf may have changed since.
        resolver = dns.asyncresolver.Resolver()
        answer = await resolver.resolve(name, "SRV", lifetime=DNS_TIMEOUT_S)
    except (dns.exception.DNSException, OSError):
        return []
    records = [cast(dns.rdtypes.IN.SRV.SRV, record) for record in answer]
    records.sort(key=lambda record: (record.priority, -record.weight))
    return [(record.target.to_text(omit_final_dot=True), record.port) for record in records]


async def addresses(host: str, port: int) -> list[HostPort]:
    """The addresses of a host; nothing if it has none, or they are not found in time."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(DNS_TIMEOUT_S):
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        return []
    return [(str(info[4][0]), port) for info in infos]
