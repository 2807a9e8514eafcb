"""A revoked node is out of the whole farm within a second, and stays out."""

import asyncio
import shutil
from pathlib import Path

import pytest

from overlay.base.errors import IdentityError
from overlay.control import operator_messages
from overlay.control.client import RefusedError
from overlay.daemon.node import Node
from overlay.identity import ca, identity, operator, revocations
from overlay.identity.revocations import Revocations
from overlay.links.farm_messages import RevocationsAre, RevocationsChanged
from overlay.links.peer_protocol import Ack, Failed
from overlay.membership import membership
from overlay.membership.members import State
from tests.daemons.farm_of_nodes import Farm, play
from tests.waiting import until

FOUR = ("n1", "n2", "n3", "n4")


async def begin(farm: Farm, *names: str) -> None:
    await farm.start(*names)
    await farm.joined()


def revoke(farm: Farm, name: str) -> Revocations:
    return ca.revoke(farm.directory / "ca", name)[0]


async def publish(farm: Farm, at: str, revoked: Revocations) -> str:
    done = await farm.ask(at, operator_messages.PutRevocations(body=revocations.encode(revoked)))
    return str(done.detail)


def linked(farm: Farm, name: str, node_id: bytes) -> bool:
    return farm.nodes[name].network.linked(node_id)


class Thief(Node):
    """Has a revoked node's key and none of its manners: it takes no list."""

    async def start(self) -> None:
        await super().start()

        async def ignored(body: bytes) -> bool:
            return False

        self.operator.revoker.take = ignored  # type: ignore[method-assign]


def test_a_revoked_node_loses_its_links_at_once_and_cannot_return(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await begin(farm, *FOUR)
        out = farm.nodes["n4"]
        out_id = out.own.node_id
        others = [farm.nodes[name] for name in FOUR[:3]]
        revoked = revoke(farm, "n4")
        began_s = asyncio.get_running_loop().time()
        assert await publish(farm, "n1", revoked) == "now in force: 1 nodes are revoked"
        await until(lambda: not any(linked(farm, n, out_id) for n in FOUR[:3]), 1.0, "cut off")
        assert asyncio.get_running_loop().time() - began_s < 1.0
        for node in others:
            member = node.membership.members.get(out_id)
            assert member is not None
            assert member.state is not State.ALIVE
        await farm.stop("n4")
        # With a disk of its own, as a thief of the key has it.
        shutil.rmtree(Path(out.config.node.data_dir))
        thief = Thief(out.config, identity.load(out.config))
        await thief.start()
        try:
            await until(lambda: any(n.network.revoked_refused for n in others), what="refused")
            for node in others:
                assert not thief.network.linked(node.own.node_id)
                assert not node.network.linked(out_id)
                assert len(node.membership.alive()) == 3
        finally:
            await thief.stop()
        assert await publish(farm, "n3", revoked) == "already in force: 1 nodes are revoked"

    play(tmp_path, story)


def test_who_learns_of_its_own_revocation_stops_and_does_not_start_again(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await begin(farm, "n1", "n2")
        out = farm.nodes["n2"]
        await publish(farm, "n2", revoke(farm, "n2"))
        await asyncio.wait_for(out.stopped.wait(), 2.0)
        await farm.stop("n2")
        with pytest.raises(IdentityError, match="was revoked"):
            await Node(out.config, identity.load(out.config)).start()

    play(tmp_path, story)


def test_the_list_survives_restarts_and_reaches_who_was_away(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await begin(farm, "n1", "n2", "n3")
        out_id = farm.nodes["n2"].own.node_id
        await farm.stop("n2", "n3")
        revoked = revoke(farm, "n2")
        await publish(farm, "n1", revoked)
        await farm.stop("n1")
        await begin(farm, "n1", "n3")
        versions = [node.operator.revoker for node in farm.nodes.values()]
        await until(lambda: all(r.current == revoked for r in versions), what="n3 has the list")
        for name in ("n1", "n3"):
            assert out_id in farm.nodes[name].network._shut_out

    play(tmp_path, story)


def test_an_announcement_that_was_lost_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "REFRESH_S", 0.2)

    async def story(farm: Farm) -> None:
        await begin(farm, "n1", "n2")
        farm.nodes["n1"].operator.revoker._announce = lambda: None  # type: ignore[method-assign]
        farm.config("n9")
        revoked = revoke(farm, "n9")
        await publish(farm, "n1", revoked)
        await until(lambda: farm.nodes["n2"].operator.revoker.current == revoked, what="compared")

    play(tmp_path, story)


def test_only_the_operator_can_revoke(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story(farm: Farm) -> None:
        await begin(farm, "n1", "n2")
        thief, victim = farm.nodes["n1"], farm.nodes["n2"]
        victim_id = victim.own.node_id
        forged = revocations.signed(1 << 60, {victim_id}, operator.generate())
        body = revocations.encode(forged)
        with pytest.raises(RefusedError) as refused:
            await farm.ask("n2", operator_messages.PutRevocations(body=body))
        assert refused.value.code == "forged"
        with pytest.raises(RefusedError) as refused:
            await farm.ask("n2", operator_messages.PutRevocations(body=b"nonsense"))
        assert refused.value.code == "forged"
        thief.operator.revoker.answer = lambda request: RevocationsAre(body=body)  # type: ignore[method-assign]
        announcement = RevocationsChanged(version=1 << 60)
        assert isinstance(await thief.network.ask(victim_id, announcement, 1.0), Ack)
        await until(lambda: f"{thief.own.node_id.hex()} sent" in caplog.text, what="refused")
        assert victim.operator.revoker.current is revocations.NONE
        assert not isinstance(await thief.network.ask(victim_id, announcement, 1.0), Failed)

    play(tmp_path, story)


def test_a_newer_list_wins_and_an_old_one_cannot_come_back(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await begin(farm, "n1", "n2")
        for name in ("n8", "n9"):
            farm.config(name)
        old, new = revoke(farm, "n8"), revoke(farm, "n9")
        assert (len(old.node_ids), len(new.node_ids)) == (1, 2)
        await publish(farm, "n1", new)
        assert (await publish(farm, "n2", old)).startswith("already")
        await until(
            lambda: farm.nodes["n2"].operator.revoker.current == new, what="n2 has the newer one"
        )

    play(tmp_path, story)
