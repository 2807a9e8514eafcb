"""Which gateways of the farm's trunks answer this node.

In: the farm's settings. Out: the gateways that are down, whenever they change. Counterparts:
`ask_gateway.py`, which asks; the node's proxies, which try these gateways last
(`proxy/trunk_choice.py`).
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from overlay.base.limits import GATEWAYS_PER_TRUNK_MAX, TRUNKS_MAX
from overlay.base.tasks import Background
from overlay.gateways import options
from overlay.gateways.health import Health
from overlay.observe.figures import Figure
from overlay.observe.metric_families import Family, Kind, Label
from overlay.observe.part import Part
from overlay.records.gateway_answer import GatewayAnswer
from overlay.records.settings import FarmSettings, Gateway

log = logging.getLogger(__name__)

Ask = Callable[[Gateway], Awaitable[GatewayAnswer]]


class Gateways(Part):
    """Asks every gateway again and again whether it answers."""

    FIGURES = (
        Figure(
            family=Family(
                name="sipfarm_gateway_up",
                kind=Kind.GAUGE,
                text="Whether the gateway answers this node's OPTIONS",
                labels=(
                    Label(name="trunk", text="the trunk's name", values_max=TRUNKS_MAX),
                    Label(
                        name="gateway",
                        text="the gateway's URI; the bound is each trunk's",
                        values_max=GATEWAYS_PER_TRUNK_MAX,
                    ),
                ),
            ),
            read=lambda gateways: gateways.states().items(),
        ),
    )

    def __init__(self, ask: Ask, chance: random.Random, changed: Callable[[], None]) -> None:
        self._ask = ask
        self._chance = chance
        self._changed = changed
        self._watches: dict[Gateway, asyncio.Task[None]] = {}
        self._tasks = Background()
        self._health: dict[Gateway, Health] = {}
        self._settings = FarmSettings()

    def watch(self, settings: FarmSettings) -> None:
        """Watch the gateways of the trunks in these settings, and no others."""
        self._settings = settings
        wanted = {gateway for trunk in settings.trunks for gateway in trunk.gateways}
        for gone in set(self._watches) - wanted:
            self._watches.pop(gone).cancel()
            self._health.pop(gone)
        for gateway in wanted - set(self._watches):
            self._health[gateway] = Health()
            self._watches[gateway] = self._tasks.start(self._keep_asking(gateway))

    async def stop(self) -> None:
        """End every task."""
        await self._tasks.end()

    @property
    def down(self) -> tuple[str, ...]:
        """URIs of the gateways that do not answer."""
        return tuple(sorted({each.uri for each, health in self._health.items() if health.down}))

    def states(self) -> dict[tuple[str, str], bool]:
        """By trunk and gateway: whether the gateway answers."""
        return {
            (trunk.name, gateway.uri): not self._health[gateway].down
            for trunk in self._settings.trunks
            for gateway in trunk.gateways
        }

    async def test(self, name: str) -> tuple[GatewayAnswer, ...]:
        """The present answer of each gateway of a trunk; empty if there is no such trunk."""
        trunk = self._settings.trunk(name)
        if trunk is None:
            return ()
        return tuple(await asyncio.gather(*(self._ask(each) for each in trunk.gateways)))

    async def _keep_asking(self, gateway: Gateway) -> None:
        while True:
            heard = await self._ask(gateway)
            before = self._health[gateway]
            after = before.after(answered=options.is_well(heard.status))
            self._health[gateway] = after
            if after.down != before.down:
                why = f"{heard.status} {heard.reason}" if heard.status else heard.reason
                log.warning("%s is %s: %s", gateway.uri, "down" if after.down else "up", why)
                self._changed()
            await asyncio.sleep(after.next_s * (0.9 + 0.2 * self._chance.random()))
