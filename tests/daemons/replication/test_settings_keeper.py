"""The farm's settings reach every node, survive restarts, and only the operator can change them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from overlay.config.config import Config
from overlay.control import operator_messages
from overlay.control.client import RefusedError
from overlay.daemon.parts import Parts
from overlay.identity import operator
from overlay.links.farm_messages import SettingsAre, SettingsChanged
from overlay.links.peer_protocol import Ack
from overlay.membership import membership
from overlay.records import settings
from overlay.records.settings import FarmSettings, Gateway, SettingsRecord, Shown, Trunk
from tests.daemons.farm_of_nodes import Farm, play
from tests.waiting import until


def make(farm: Farm, version: int, *names: str) -> SettingsRecord:
    trunks = tuple(
        Trunk(name=name, prefixes=("+",), gateways=(Gateway(host="192.0.2.9"),)) for name in names
    )
    return settings.signed(version, FarmSettings(trunks=trunks), farm.operator_key)


async def put(farm: Farm, at: str, record: SettingsRecord) -> None:
    await farm.ask(at, operator_messages.PutSettings(body=settings.encode(record)))


def shown_by(farm: Farm, name: str) -> list[Shown]:
    """What the proxies of this node are shown, from its start on."""
    shown: list[Shown] = []

    def show(config: Config, what: Shown) -> None:
        if config.node.name == name:
            shown.append(what)

    farm.parts = Parts(show=show)
    return shown


def all_have(farm: Farm, record: SettingsRecord) -> bool:
    return all(node.operator.settings.current == record for node in farm.nodes.values())


def test_they_reach_every_node_and_who_was_away_and_survive_restarts(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        shown = shown_by(farm, "n2")
        await farm.start("n1", "n2", "n3")
        await farm.joined()
        first, second = make(farm, 5, "north"), make(farm, 6, "north", "south")
        await put(farm, "n1", first)
        await until(lambda: all_have(farm, first), 2.0, "all have them")
        assert shown[-1].settings == settings.content(first)
        await farm.stop("n3")
        await put(farm, "n2", second)
        await farm.stop()
        await farm.start("n1", "n3")
        assert farm.nodes["n1"].operator.settings.current == second
        await until(lambda: all_have(farm, second), 5.0, "n3 was told")

    play(tmp_path, story)


def test_an_announcement_that_was_lost_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "REFRESH_S", 0.2)

    async def story(farm: Farm) -> None:
        await farm.start("n1", "n2")
        await farm.joined()
        farm.nodes["n1"].operator.settings._announce = lambda: None  # type: ignore[method-assign]
        record = make(farm, 5, "north")
        await put(farm, "n1", record)
        await until(lambda: all_have(farm, record), what="compared")

    play(tmp_path, story)


def test_only_the_operators_are_taken_and_no_older_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1", "n2")
        await farm.joined()
        thief, victim = farm.nodes["n1"], farm.nodes["n2"]
        await put(farm, "n2", make(farm, 9, "north"))
        for record, code in (
            (settings.signed(99, FarmSettings(), operator.generate()), "forged"),
            (make(farm, 8, "south"), "outdated"),
            (make(farm, 9, "south"), "outdated"),
        ):
            with pytest.raises(RefusedError) as refused:
                await put(farm, "n2", record)
            assert refused.value.code == code
        forged = settings.encode(settings.signed(99, FarmSettings(), operator.generate()))
        thief.operator.settings.answer = lambda request: SettingsAre(body=forged)  # type: ignore[method-assign]
        announcement = SettingsChanged(version=99)
        reply = await thief.network.ask(victim.own.node_id, announcement, 1.0)
        assert isinstance(reply, Ack)
        await until(lambda: f"{thief.own.node_id.hex()} sent" in caplog.text, what="refused")
        assert victim.operator.settings.current.version == 9
        answer = await farm.ask("n2", operator_messages.GetSettings())
        assert settings.admit(answer.body, farm.operator_key.public).version == 9

    play(tmp_path, story)


def test_what_this_version_does_not_understand_is_kept_and_passed_on(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        shown = shown_by(farm, "n2")
        await farm.start("n1", "n2")
        await farm.joined()
        known = make(farm, 5, "north")
        await put(farm, "n1", known)
        await until(lambda: all_have(farm, known), what="all have them")
        body = b'{"trunks":"of another kind"}'
        signature = farm.operator_key.sign(settings.PURPOSE, settings._signed_part(6, body))
        strange = SettingsRecord(version=6, body=body, signature=signature)
        await put(farm, "n1", strange)
        await until(lambda: all_have(farm, strange), what="passed on")
        nothing = settings.content(settings.NONE)
        assert [each.settings for each in shown] == [nothing, settings.content(known)]

    play(tmp_path, story)


def test_a_node_that_understands_no_settings_leaves_its_proxies_what_they_have(
    tmp_path: Path,
) -> None:
    async def story(farm: Farm) -> None:
        shown = shown_by(farm, "n2")
        await farm.start("n1", "n2")
        await farm.joined()
        body = b'{"trunks":"of another kind"}'
        signature = farm.operator_key.sign(settings.PURPOSE, settings._signed_part(6, body))
        strange = SettingsRecord(version=6, body=body, signature=signature)
        await put(farm, "n1", strange)
        await until(lambda: all_have(farm, strange), what="passed on")
        await farm.stop("n2")
        failures: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, failure: failures.append(failure))
        shown.clear()
        await farm.start("n2")
        await farm.joined()
        await farm.stop("n1")
        members = farm.nodes["n2"].membership.members
        await until(lambda: members.lost_names() == {"n1"}, what="n1 is gone")
        await asyncio.sleep(0)
        assert (shown, failures) == ([], [])

    play(tmp_path, story)
