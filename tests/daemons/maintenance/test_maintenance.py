"""Whole daemons: only one node drains at a time, though nodes begin together, die, come back or are
forced.
"""

import asyncio
from pathlib import Path

import pytest

from overlay.control import operator_messages
from overlay.control.client import RefusedError
from overlay.control.operator_messages import Drain, Drained, OkToStop
from overlay.daemon.node import Node
from overlay.links.farm_messages import EndLease
from overlay.links.peer_protocol import Failed, PeerReply, PeerRequest
from overlay.maintenance import lease_keeper
from overlay.records.draining import DrainPhase, DrainWish
from tests.daemons.farm_of_nodes import Farm, play
from tests.waiting import eventually, until

FOUR = ["n1", "n2", "n3", "n4"]
DEADLINE_S = 5.0


async def begin(farm: Farm, name: str, wish: DrainWish = DrainWish.BEGIN) -> Drained | str:
    """What the node does, or why it refuses."""
    try:
        drained: Drained = await farm.ask(name, Drain(wish=wish), DEADLINE_S)
    except RefusedError as error:
        return str(error)
    return drained


async def against(farm: Farm, asked: str, name: str) -> str:
    """Why the node should not be stopped; empty: it may."""
    advice: operator_messages.StopAdvice = await farm.ask(asked, OkToStop(node=name), DEADLINE_S)
    assert advice.ok is (not advice.reasons)
    return "\n".join(advice.reasons)


def phases(farm: Farm) -> dict[str, bool]:
    return {
        name: node.records.drain.phase is not DrainPhase.SERVING
        for name, node in farm.nodes.items()
    }


def leases(farm: Farm) -> set[str]:
    return {node.control.lease.told()[0] for node in farm.nodes.values()}


async def up(farm: Farm) -> None:
    await farm.start(*FOUR)
    await farm.joined()


def test_two_that_begin_at_once(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await up(farm)
        for names in (["n1", "n2"], ["n4", "n3"], FOUR):
            answers = await asyncio.gather(*(begin(farm, name) for name in names))
            drains = [name for name, does in phases(farm).items() if does]
            assert len(drains) == 1, answers
            refusals = [answer for answer in answers if isinstance(answer, str)]
            assert len(refusals) == len(names) - 1
            for refusal in refusals:
                assert "one node at a time" in refusal
                assert "--force" in refusal
            await until(lambda drains=drains: leases(farm) == set(drains))  # type: ignore[misc]
            await farm.ask(drains[0], Drain(wish=DrainWish.END))
            await until(lambda: leases(farm) == {""}, what="nobody has the lease")

    play(tmp_path, story)


def test_undrain_lets_the_next_one(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await up(farm)
        assert isinstance(await begin(farm, "n2"), Drained)
        assert isinstance(await begin(farm, "n2"), Drained), "again at the same node"
        refusal = await begin(farm, "n3")
        assert isinstance(refusal, str)
        assert "n2 drains" in refusal
        await farm.ask("n2", Drain(wish=DrainWish.END))
        assert isinstance(await begin(farm, "n3"), Drained)

    play(tmp_path, story)


def test_a_dead_node_is_in_the_way_until_it_is_back_and_one_that_left_is_not(
    tmp_path: Path,
) -> None:
    async def story(farm: Farm) -> None:
        await up(farm)
        await farm.stop("n4")
        await until(lambda: len(farm.nodes["n1"].membership.alive()) == 3)
        refusal = await begin(farm, "n1")
        assert isinstance(refusal, str)
        assert "n4 is dead" in refusal
        assert "n4 is dead" in await against(farm, "n2", "n1")
        assert await against(farm, "n2", "n4") == ""
        assert isinstance(await begin(farm, "n1", DrainWish.BEGIN_FORCED), Drained)
        await farm.ask("n1", Drain(wish=DrainWish.END))

        await farm.start("n4")
        await farm.joined()
        assert await against(farm, "n2", "n1") == ""
        farm.nodes["n4"].leave()
        await farm.stop("n4")
        await until(lambda: len(farm.nodes["n1"].membership.alive()) == 3)
        assert await against(farm, "n2", "n1") == ""
        assert isinstance(await begin(farm, "n1"), Drained)

    play(tmp_path, story)


def test_who_was_drained_and_stopped_has_it_until_it_serves_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(farm: Farm) -> None:
        await up(farm)
        assert isinstance(await begin(farm, "n2"), Drained)
        await until(lambda: leases(farm) == {"n2"})
        await farm.stop("n2")
        await until(lambda: len(farm.nodes["n1"].membership.alive()) == 3)
        assert leases(farm) == {"n2"}, "its stop does not give it back"
        refusal = await begin(farm, "n3")
        assert isinstance(refusal, str)
        assert "n2 is dead" in refusal
        assert "has the maintenance lease" in refusal

        served = asyncio.Event()
        real = lease_keeper.LeaseKeeper._return_when_ready

        async def held_up(keeper: lease_keeper.LeaseKeeper) -> None:
            await served.wait()
            await real(keeper)

        monkeypatch.setattr(lease_keeper.LeaseKeeper, "_return_when_ready", held_up)
        await farm.start("n2")
        await farm.joined()
        refusal = await begin(farm, "n3")
        assert isinstance(refusal, str)
        assert "n2 has the maintenance lease for" in refusal
        assert "n2 has the maintenance lease" in await against(farm, "n1", "n3")
        assert await against(farm, "n1", "n2") == ""
        served.set()
        await until(lambda: leases(farm) == {""}, what="it is back and serves")
        assert isinstance(await begin(farm, "n3"), Drained)

    play(tmp_path, story)


def test_who_leaves_gives_it_back(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await up(farm)
        assert isinstance(await begin(farm, "n2"), Drained)
        await until(lambda: leases(farm) == {"n2"})
        farm.nodes["n2"].leave()
        await farm.stop("n2")
        await until(lambda: leases(farm) == {""})
        assert isinstance(await begin(farm, "n3"), Drained)

    play(tmp_path, story)


def test_the_lease_of_a_node_that_died_lapses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overlay.maintenance.lease.HELD_S", 1.0)

    async def story(farm: Farm) -> None:
        await up(farm)
        assert isinstance(await begin(farm, "n2"), Drained)
        await until(lambda: leases(farm) == {"n2"})
        await farm.stop("n2")
        await until(lambda: leases(farm) == {""}, 5.0, "it lapses")

    play(tmp_path, story)


def test_a_peer_that_does_not_answer_is_in_the_way_and_one_of_an_older_version_is_not(
    tmp_path: Path,
) -> None:
    async def story(farm: Farm) -> None:
        await up(farm)
        refused: list[PeerReply] = [Failed(code="unavailable", reason="no answer in time")]
        real = farm.nodes["n1"].network.ask

        def ask(
            node_id: bytes, request: PeerRequest, timeout_s: float
        ) -> "asyncio.Future[PeerReply]":
            name = type(request).__name__
            if name != "AskLease" or node_id != farm.nodes["n4"].own.node_id:
                return real(node_id, request, timeout_s)
            answer: asyncio.Future[PeerReply] = asyncio.get_running_loop().create_future()
            answer.set_result(refused[0])
            return answer

        farm.nodes["n1"].network.ask = ask  # type: ignore[method-assign]
        refusal = await begin(farm, "n1")
        assert isinstance(refusal, str)
        assert "n4 does not answer" in refusal
        await until(lambda: leases(farm) == {""})
        refused[0] = Failed(code="unknown-kind", reason="an older version")
        assert isinstance(await begin(farm, "n1"), Drained)

    play(tmp_path, story)


def test_an_end_that_was_lost_is_made_up_for_when_the_link_comes_back(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await up(farm)
        n2, n3 = farm.nodes["n2"], farm.nodes["n3"]
        assert isinstance(await begin(farm, "n2"), Drained)
        await until(lambda: leases(farm) == {"n2"})
        _lose_ends_to(n2, n3)
        await farm.ask("n2", Drain(wish=DrainWish.END))
        assert n3.control.lease.told()[0] == "n2"
        del n2.network.request
        n3.network.drop(n2.own.node_id, "a broken cable")
        await until(lambda: leases(farm) == {""}, what="n3 heard of it after all")

    play(tmp_path, story)


def _lose_ends_to(node: Node, peer: Node) -> None:
    real = node.network.request

    def request(node_id: bytes, what: PeerRequest, answered: object, timeout_s: float) -> None:
        if not (isinstance(what, EndLease) and node_id == peer.own.node_id):
            real(node_id, what, answered, timeout_s)  # type: ignore[arg-type]

    node.network.request = request  # type: ignore[method-assign]


def test_force_takes_the_lease(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await up(farm)
        assert isinstance(await begin(farm, "n2"), Drained)
        assert isinstance(await begin(farm, "n3", DrainWish.BEGIN_FORCED), Drained)
        await until(lambda: leases(farm) == {"n3"})
        await farm.ask("n2", Drain(wish=DrainWish.END))
        assert leases(farm) == {"n3"}, "it was no longer n2's"
        refusal = await begin(farm, "n4")
        assert isinstance(refusal, str)
        assert "n3 drains" in refusal

    play(tmp_path, story)


def test_nobody_knows_such_a_node(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1")
        await eventually(lambda: _lonely(farm))
        with pytest.raises(RefusedError, match="there is no node 'n9'") as refused:
            await farm.ask("n1", OkToStop(node="n9"))
        assert refused.value.code == "not-found"

    async def _lonely(farm: Farm) -> bool:
        return "n1 is the last node in service" in await against(farm, "n1", "n1")

    play(tmp_path, story)
