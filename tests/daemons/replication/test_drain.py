"""Whole daemons: one is drained, and the others hold everything that it held."""

from pathlib import Path

import pytest

from overlay.control import operator_messages, proxy_messages
from overlay.control.client import RefusedError
from overlay.control.operator_messages import Drain
from overlay.daemon.node import Node
from overlay.links.peer_part import waits
from overlay.links.peer_protocol import Failed, PeerReply
from overlay.links.record_messages import Offer
from overlay.records.draining import DrainPhase, DrainWish
from overlay.records.names import RecordKind, key_of
from overlay.records.register import RegisterOutcome
from overlay.records.targets import Reach
from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import register, start_event, stop_event
from tests.waiting import eventually, until

CONTACT = "sip:alice@192.0.2.7:5060"
AORS = [f"user{number}@farm.test" for number in range(30)]
CALLS = [f"call-{number}" for number in range(30)]
FIVE = ["n1", "n2", "n3", "n4", "n5"]


async def fill(farm: Farm, *names: str) -> None:
    for number, (aor, call_id) in enumerate(zip(AORS, CALLS, strict=True)):
        name = names[number % len(names)]
        assert (await farm.ask(name, register(aor, CONTACT))).outcome is RegisterOutcome.DONE
        assert (await farm.ask(name, start_event(call_id))).level == "quorum"
        assert (await farm.ask(name, stop_event(call_id))).level == "quorum"


async def drained(farm: Farm, name: str) -> operator_messages.Drained:
    async def done() -> bool:
        state = await farm.ask(name, Drain())
        return bool(state.phase is DrainPhase.DRAINED)

    await eventually(done, 20.0)
    state: operator_messages.Drained = await farm.ask(name, Drain())
    return state


def holders(farm: Farm, aor: str) -> set[str]:
    key = key_of(RecordKind.REGISTRATION, aor)
    return {name for name, node in farm.nodes.items() if node.bindings.get(key)}


def served_by(node: Node) -> set[str]:
    return {each.name for each in node.dns.zone.view().nodes if each.live}


def test_a_drained_node_is_not_needed(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start(*FIVE)
        await farm.joined()
        await fill(farm, *FIVE)
        assert any("n2" in holders(farm, aor) for aor in AORS)

        begun = await farm.ask("n2", Drain(wish=DrainWish.BEGIN))
        assert begun.phase is DrainPhase.DRAINING
        staying = set(FIVE) - {"n2"}
        await until(
            lambda: all(served_by(node) == staying for node in farm.nodes.values()),
            1.0,
            "its name is in nobody's DNS answers",
        )
        proof = await drained(farm, "n2")
        assert (proof.unproven, proof.journal, proof.copies) == (0, 0, 3)
        assert proof.records > 0
        for aor in AORS:
            assert len(holders(farm, aor) - {"n2"}) == 3, aor

        # What comes now goes by it.
        for number in range(20):
            aor = f"late{number}@farm.test"
            await farm.ask("n2", register(aor, CONTACT))
            assert "n2" not in holders(farm, aor)

        await farm.stop("n2")
        for aor, call_id in zip(AORS, CALLS, strict=True):
            assert (await farm.ask("n4", proxy_messages.Locate(aor=aor))).reach is Reach.FOUND
            (record,) = (await farm.ask("n4", operator_messages.ShowCall(call_id=call_id))).calls
            assert record.state == "complete"
            assert len(record.replicas) == 3

    play(tmp_path, story)


def test_it_can_serve_again(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start(*FIVE)
        await farm.joined()
        await farm.ask("n2", Drain(wish=DrainWish.BEGIN))
        await drained(farm, "n2")
        assert (await farm.ask("n2", Drain(wish=DrainWish.END))).phase is DrainPhase.SERVING
        await until(
            lambda: all(served_by(node) == set(FIVE) for node in farm.nodes.values()),
            what="all are in everybody's DNS answers",
        )
        await fill(farm, *FIVE)
        assert any("n2" in holders(farm, aor) for aor in AORS)

    play(tmp_path, story)


def test_a_restart_ends_it(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start(*FIVE)
        await farm.joined()
        await farm.ask("n2", Drain(wish=DrainWish.BEGIN))
        await drained(farm, "n2")
        await farm.stop("n2")
        await farm.start("n2")
        await farm.joined()
        await until(
            lambda: all(served_by(node) == set(FIVE) for node in farm.nodes.values()),
            what="all are in everybody's DNS answers",
        )

    play(tmp_path, story)


def test_too_few_would_stay(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1", "n2")
        await farm.joined()
        await fill(farm, "n1", "n2")
        with pytest.raises(RefusedError, match="1 other nodes would stay"):
            await farm.ask("n2", Drain(wish=DrainWish.BEGIN))
        assert (await farm.ask("n2", Drain())).phase is DrainPhase.SERVING
        await farm.ask("n2", Drain(wish=DrainWish.BEGIN_FORCED))
        proof = await drained(farm, "n2")
        assert (proof.copies, proof.unproven) == (1, 0)

        # The last one has nobody to hand over to.
        await farm.stop("n2")
        await until(lambda: len(farm.nodes["n1"].membership.alive()) == 1)
        await farm.ask("n1", Drain(wish=DrainWish.BEGIN_FORCED))
        await eventually(lambda: _unproven(farm, "n1"))
        assert (await farm.ask("n1", Drain())).phase is DrainPhase.DRAINING

    async def _unproven(farm: Farm, name: str) -> bool:
        state = await farm.ask(name, Drain())
        return bool(state.records and state.unproven == state.records)

    play(tmp_path, story)


def test_it_names_what_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overlay.replication.drain.NAMED_AFTER_S", 0.2)

    async def refuse(peer: bytes, request: Offer) -> PeerReply:
        return Failed(code="storage", reason="the disk is full")

    async def story(farm: Farm) -> None:
        await farm.start("n1", "n2", "n3")
        await farm.joined()
        known = "user0@farm.test"
        record = farm.subscriber(known, "looking-glass", 1)
        await farm.ask("n1", operator_messages.PutSubscriber(record=record))
        await farm.ask("n1", register(known, CONTACT))
        await farm.ask("n1", register("stranger@farm.test", CONTACT))
        await farm.ask("n1", start_event("call-0"))
        n3 = farm.nodes["n3"]
        monkeypatch.setitem(n3.requests._handlers, Offer, waits(Offer, refuse))
        await farm.ask("n2", Drain(wish=DrainWish.BEGIN), 5.0)

        async def named() -> bool:
            return bool((await farm.ask("n2", Drain())).missing)

        await eventually(named)
        state: operator_messages.Drained = await farm.ask("n2", Drain())
        assert state.still_s > 0
        by_name = {(each.kind, each.name): each for each in state.missing}
        assert {
            ("registration", known),
            ("registration", ""),
            ("call", "call-0"),
            ("subscriber", known),
        } <= by_name.keys()
        assert {each.peers for each in state.missing} == {("n3",)}
        unknown = key_of(RecordKind.REGISTRATION, "stranger@farm.test")
        assert by_name["registration", ""].key == unknown
        (peer,) = state.peers
        assert (peer.name, peer.why) == ("n3", "the disk is full")
        assert peer.records == state.unproven >= 4

        monkeypatch.undo()
        done = await drained(farm, "n2")
        assert (done.missing, done.peers, done.still_s) == ((), (), 0.0)

    play(tmp_path, story)


def test_it_names_the_events_of_the_journal(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1", "n2", "n3")
        await farm.joined()
        await farm.ask("n2", Drain(wish=DrainWish.BEGIN), 5.0)
        await farm.stop("n1", "n3")
        await until(lambda: len(farm.nodes["n2"].membership.alive()) == 1)
        assert (await farm.ask("n2", start_event("call-1"))).level == "journal"

        async def named() -> bool:
            return bool((await farm.ask("n2", Drain())).events)

        await eventually(named)
        state: operator_messages.Drained = await farm.ask("n2", Drain())
        assert state.phase is DrainPhase.DRAINING
        (event,) = state.events
        assert (event.kind, event.name, event.peers) == ("START", "call-1", ())
        await farm.start("n1", "n3")
        done = await drained(farm, "n2")
        assert (done.journal, done.events) == (0, ())

    play(tmp_path, story)


def test_phones_are_told_to_come_again_soon(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start(*FIVE)
        await farm.joined()
        before = await farm.ask("n2", register("alice@farm.test", CONTACT, 1, 3600))
        assert (before.bindings[0].expires_s, before.move) == (3600, False)
        await farm.ask("n2", Drain(wish=DrainWish.BEGIN))
        after = await farm.ask("n2", register("alice@farm.test", CONTACT, 2, 3600))
        assert (after.bindings[0].expires_s, after.move) == (60, True)
        removed = await farm.ask("n2", register("alice@farm.test", CONTACT, 3, 0))
        assert removed.bindings == ()
        elsewhere = await farm.ask("n3", register("alice@farm.test", CONTACT, 4, 3600))
        assert (elsewhere.bindings[0].expires_s, elsewhere.move) == (3600, False)

    play(tmp_path, story)


def test_replicas_are_spread_over_zones(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        zones = dict(zip(FIVE, ("east", "east", "east", "west", "north"), strict=True))
        farm.of_node = {name: {"zone": zone} for name, zone in zones.items()}
        await farm.start(*FIVE)
        await farm.joined()
        await fill(farm, *FIVE)
        for aor in AORS:
            await until(lambda aor=aor: len(holders(farm, aor)) == 3)  # type: ignore[misc]
            assert {zones[name] for name in holders(farm, aor)} == {"east", "west", "north"}
        status = await farm.ask("n1", operator_messages.GetStatus())
        assert {node.name: node.zone for node in status.nodes} == zones

    play(tmp_path, story)
