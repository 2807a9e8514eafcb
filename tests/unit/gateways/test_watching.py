"""Gateways go down after misses, come back at an answer, and are forgotten with their trunk."""

import asyncio
import random

import pytest

from overlay.gateways import health
from overlay.gateways.watching import Gateways
from overlay.records.gateway_answer import GatewayAnswer
from overlay.records.settings import FarmSettings, Gateway, Trunk
from tests.waiting import until

ONE, TWO = Gateway(host="192.0.2.1"), Gateway(host="192.0.2.2")


def test_what_answers_is_up_and_what_does_not_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ASK_EVERY_S", 0.01)
    monkeypatch.setattr(health, "ASK_AGAIN_S", 0.001)

    async def story() -> None:
        statuses = {ONE: 200, TWO: 200}
        told: list[tuple[str, ...]] = []

        async def ask(gateway: Gateway) -> GatewayAnswer:
            return GatewayAnswer(
                gateway=gateway.uri, status=statuses[gateway], reason="", elapsed_ms=1
            )

        gateways = Gateways(ask, random.Random(1), lambda: told.append(gateways.down))
        trunks = (
            Trunk(name="a", prefixes=(), gateways=(ONE, TWO)),
            Trunk(name="b", prefixes=(), gateways=(TWO,)),
        )
        gateways.watch(FarmSettings(trunks=trunks))
        assert gateways.down == ()
        statuses[TWO] = 503
        await until(lambda: gateways.down == (TWO.uri,), what="it is down")
        assert gateways.states() == {
            ("a", ONE.uri): True,
            ("a", TWO.uri): False,
            ("b", TWO.uri): False,
        }
        assert [each.status for each in await gateways.test("a")] == [200, 503]
        assert await gateways.test("c") == ()
        statuses[TWO] = 404
        await until(lambda: gateways.down == (), what="it is up")
        assert told == [(TWO.uri,), ()]
        statuses[TWO] = 0
        await until(lambda: bool(gateways.down), what="it is down again")
        gateways.watch(FarmSettings())
        assert (gateways.down, gateways.states()) == ((), {})
        await gateways.stop()

    asyncio.run(story())
