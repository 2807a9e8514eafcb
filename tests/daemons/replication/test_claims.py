"""Whole daemons: any node keeps a limit of calls at a time, also when nodes die."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from overlay.control import proxy_messages
from overlay.control.client import RefusedError
from overlay.links.peer_protocol import Failed
from overlay.links.record_messages import ShareClaims
from overlay.records.claim import Claim
from overlay.records.clock import COUNTER_BITS
from overlay.records.names import RecordKind, key_of
from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import start_event, stop_event
from tests.waiting import eventually, until

ALICE = "alice@farm.test"
KEY = key_of(RecordKind.SUBSCRIBER, ALICE)
THREE = ("n1", "n2", "n3")


def claim(call_id: str, cseq: int = 1, calls_max: int = 2) -> proxy_messages.ClaimCall:
    return proxy_messages.ClaimCall(
        aor=ALICE, call_id=call_id, from_tag="bob", cseq=cseq, calls_max=calls_max
    )


async def granted(farm: Farm, name: str, call_id: str, cseq: int = 1, calls_max: int = 2) -> bool:
    answer = await farm.ask(name, claim(call_id, cseq, calls_max))
    assert isinstance(answer, proxy_messages.CallClaimed)
    return answer.granted


def counted(farm: Farm) -> dict[str, int]:
    return {name: node.records.claims.counts.total(KEY) for name, node in farm.nodes.items()}


def nearest(farm: Farm) -> str:
    """The node that decides for alice."""
    node = next(iter(farm.nodes.values()))
    return node.records.placement.of(KEY)[0].name


async def three(farm: Farm) -> None:
    await farm.start(*THREE)
    await farm.joined()


def test_a_limit_holds_whichever_node_is_asked(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        assert await granted(farm, "n1", "a")
        assert await granted(farm, "n2", "b")
        for name in THREE:
            assert not await granted(farm, name, "c")
            assert await granted(farm, name, "a"), "a retransmission"
        assert await granted(farm, "n3", "b", cseq=2), "after another challenge"
        await until(lambda: set(counted(farm).values()) == {2}, what="all replicas know")
        assert sum(node.records.claims.refused for node in farm.nodes.values()) == 3

        for call_id in "ab":
            await farm.ask("n1", start_event(call_id))
        assert not await granted(farm, "n1", "c"), "both are talking"
        await farm.ask("n3", stop_event("a"))
        assert await granted(farm, "n2", "c"), "as soon as the BYE was answered"
        assert not await granted(farm, "n1", "d")

    play(tmp_path, story)


def test_many_at_once_do_not_get_through(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        asked = (granted(farm, THREE[number % 3], f"c{number}") for number in range(60))
        assert sum(await asyncio.gather(*asked)) == 2

    play(tmp_path, story)


def test_a_refused_call_makes_room(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        for number, name in enumerate(THREE * 2):
            call_id = f"call {number}"
            await eventually(lambda n=name, c=call_id: granted(farm, n, c, 5, 1))  # type: ignore[misc]
            assert not await granted(farm, name, "other", 1, 1)
            release = proxy_messages.ReleaseCall(aor=ALICE, call_id=call_id, from_tag="bob", cseq=5)
            await farm.ask(THREE[(number + 1) % 3], release)
        await until(lambda: set(counted(farm).values()) == {0}, what="all replicas know")

    play(tmp_path, story)


def test_when_the_node_that_counts_dies_another_counts_on(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        names = [f"n{number}" for number in range(1, 6)]
        await farm.start(*names)
        await farm.joined()
        for call_id in "ab":
            assert await granted(farm, "n1", call_id)
            await farm.ask("n2", start_event(call_id))
        for _ in range(2):
            replicas = [info.name for info in farm.nodes[names[0]].records.placement.of(KEY)]
            dead = replicas[0]
            await until(lambda: counted(farm)[replicas[1]] == 2, what="the next one was told")  # noqa: B023
            names.remove(dead)
            await farm.stop(dead)
            await until(
                lambda: all(len(n.membership.alive()) == len(names) for n in farm.nodes.values()),
                what="its death is known",
            )
            assert not await granted(farm, names[0], "c")
        replicas = [info.name for info in farm.nodes[names[0]].records.placement.of(KEY)]
        await until(lambda: all(counted(farm)[name] == 2 for name in replicas), what="handed over")

        back = dead
        await farm.start(back)
        await farm.joined()
        await until(lambda: counted(farm)[back] == 2, what="who comes back is told")
        assert nearest(farm) == back
        assert not await granted(farm, back, "c")
        await farm.ask(back, stop_event("b"))
        assert await granted(farm, names[0], "c")

    play(tmp_path, story)


def test_a_node_that_is_no_replica_asks_one(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        names = [f"n{number}" for number in range(1, 7)]
        await farm.start(*names)
        await farm.joined()
        assert await granted(farm, "n1", "a", 1, 1)
        for name in names:
            assert not await granted(farm, name, "b", 1, 1)
        await farm.ask("n4", start_event("a"))
        await farm.ask("n5", stop_event("a"))
        assert await granted(farm, "n6", "b", 1, 1)

    play(tmp_path, story)


def test_peers_that_are_too_old_are_passed_by_and_none_at_all_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        for name in THREE:
            links = farm.nodes[name].network._links.values()
            for link in links:
                assert link.peer is not None
                link.peer = msgspec.structs.replace(link.peer, capabilities=())
        home = nearest(farm)
        other = next(name for name in THREE if name != home)
        assert await granted(farm, home, "a", 1, 1)
        assert await granted(farm, other, "a", 1, 1), "it counts for itself, as nobody else does"
        node = farm.nodes[other]
        monkeypatch.setattr(node.records.placement, "surely", lambda _key: ())
        with pytest.raises(RefusedError, match="no replica"):
            await farm.ask(other, claim("b"))

    play(tmp_path, story)


def test_claims_of_tomorrow_are_refused(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1")
        node = farm.nodes["n1"]
        tomorrow = (node.base.now_ms() + 86_400_000) << COUNTER_BITS
        each = Claim(call=b"c" * 20, call_key=b"k" * 20, cseqs=(1,), changed=tomorrow)
        assert isinstance(node.records.claims.shared(ShareClaims(key=KEY, claims=(each,))), Failed)
        assert counted(farm) == {"n1": 0}

    play(tmp_path, story)
