"""Finds the farm's nodes on the local network by multicast DNS (RFC 6762, RFC 6763).

In: announcements of other nodes. Out: this node's own announcement, and addresses to dial.
Counterpart: `discovery.py`.
"""

import logging
from typing import Final

from zeroconf import ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from overlay.base.addresses import HostPort
from overlay.base.limits import DISCOVERED_ADDRESSES_MAX
from overlay.base.tasks import Background
from overlay.config.config import Config

log = logging.getLogger(__name__)

MDNS_TYPE: Final = "_sipfarm-overlay._tcp.local."
MDNS_TIMEOUT_MS: Final = 1_000


class Neighbours:
    """The nodes that announce the same farm."""

    def __init__(self, config: Config) -> None:
        self._farm = config.farm.name
        self._own = f"{config.node.name}.{config.farm.name}"
        self._address = config.node.address
        self._port = config.overlay.port
        self._mdns: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._found: dict[str, list[HostPort]] = {}
        self._tasks = Background()

    @property
    def addresses(self) -> list[HostPort]:
        """The addresses of all nodes that announced themselves, without this node's."""
        return [address for addresses in self._found.values() for address in addresses]

    async def start(self) -> None:
        """Announce this node and listen for others. If the network refuses that, it is only
        logged."""
        try:
            self._mdns = AsyncZeroconf(interfaces=[self._address])
            own = AsyncServiceInfo(
                MDNS_TYPE,
                f"{self._own}.{MDNS_TYPE}",
                port=self._port,
                properties={"farm": self._farm},
                server=f"{self._own}.local.",
                parsed_addresses=[self._address],
            )
            await self._mdns.async_register_service(own, allow_name_change=True)
            self._browser = AsyncServiceBrowser(
                self._mdns.zeroconf, MDNS_TYPE, handlers=[self._changed]
            )
        except (OSError, RuntimeError, NotImplementedError) as error:
            log.warning("the local network cannot be asked for the farm: %s", error)

    async def stop(self) -> None:
        """Withdraw the announcement and close the sockets."""
        await self._tasks.end()
        if self._browser is not None:
            await self._browser.async_cancel()
        if self._mdns is not None:
            await self._mdns.async_close()

    def _changed(
        self,
        zeroconf: Zeroconf,
        service_type: str,
        name: str,
        state_change: ServiceStateChange,
    ) -> None:
        if state_change is ServiceStateChange.Removed:
            self._found.pop(name, None)
        elif name != f"{self._own}.{MDNS_TYPE}" and len(self._found) < DISCOVERED_ADDRESSES_MAX:
            self._tasks.start(self._ask(zeroconf, service_type, name))

    async def _ask(self, zeroconf: Zeroconf, service_type: str, name: str) -> None:
        info = AsyncServiceInfo(service_type, name)
        if not await info.async_request(zeroconf, MDNS_TIMEOUT_MS):
            return
        if (info.decoded_properties or {}).get("farm") != self._farm or info.port is None:
            return
        self._found[name] = [(address, info.port) for address in info.parsed_addresses()]
