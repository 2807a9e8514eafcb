"""A node takes a record for the operator's word only by its signature, whoever brings it."""

from pathlib import Path

import msgspec
import pytest

from overlay.base.errors import ForgedError
from overlay.control import operator_messages, proxy_messages
from overlay.control.client import RefusedError
from overlay.daemon.node import Node
from overlay.identity import operator
from overlay.links.peer_protocol import Failed
from overlay.links.record_messages import Changed, Fetch, Fetched, Offer, Store, Wanted
from overlay.records import subscriber
from overlay.records.names import RecordKind, key_of
from overlay.records.subscriber import Subscriber
from overlay.replication.vetting import Vetting
from tests.daemons.farm_of_nodes import Farm, play
from tests.waiting import eventually

ALICE = "alice@farm.test"
KEY = key_of(RecordKind.SUBSCRIBER, ALICE)
THREE = ("n1", "n2", "n3")
OPERATOR = operator.generate()
RECORD = subscriber.signed(subscriber.with_password(ALICE, "wonder", 7), OPERATOR)


def forge(record: Subscriber, **changes: object) -> Subscriber:
    return msgspec.structs.replace(record, **changes)


def test_what_the_operator_signed_is_taken() -> None:
    vetting = Vetting(OPERATOR.public)
    assert vetting.subscriber(KEY, subscriber.encode(RECORD)) == RECORD
    assert vetting.refused == 0


@pytest.mark.parametrize(
    "forged",
    [
        forge(RECORD, version=8),
        forge(RECORD, ha1="0" * 32),
        forge(RECORD, ha1_sha256="0" * 64),
        forge(RECORD, removed=True),
        forge(RECORD, signature=b""),
        forge(RECORD, signature=RECORD.signature[:-1]),
        subscriber.signed(RECORD, operator.generate()),
        forge(RECORD, signature=OPERATOR.sign(b"other", subscriber.signed_part(RECORD))),
    ],
)
def test_whatever_is_changed_is_refused_and_counted(forged: Subscriber) -> None:
    vetting = Vetting(OPERATOR.public)
    with pytest.raises(ForgedError):
        vetting.subscriber(KEY, subscriber.encode(forged))
    assert vetting.refused == 1


def test_a_genuine_record_is_worth_nothing_under_anothers_key() -> None:
    vetting = Vetting(OPERATOR.public)
    with pytest.raises(ForgedError, match="another's key"):
        vetting.subscriber(
            key_of(RecordKind.SUBSCRIBER, "eve@farm.test"), subscriber.encode(RECORD)
        )


async def three(farm: Farm) -> tuple[Node, Node, Node]:
    await farm.start(*THREE)
    await farm.joined()
    one, two, three = farm.nodes.values()
    return one, two, three


def test_who_has_a_nodes_key_cannot_forge_a_subscriber(tmp_path: Path) -> None:
    """n1 is the thief: it has a node's key and speaks the protocol, but not for the operator."""

    async def story(farm: Farm) -> None:
        thief, two, _ = await three(farm)
        genuine = farm.subscriber(ALICE, "wonder", 7)
        await farm.ask("n2", operator_messages.PutSubscriber(record=genuine))
        forged = forge(genuine, version=8, ha1="0" * 32)
        body = subscriber.encode(forged)
        for name in ("n2", "n3"):
            victim = farm.nodes[name].own.node_id
            store = Store(kind=RecordKind.SUBSCRIBER, key=KEY, body=body)
            push = Changed(kind=RecordKind.SUBSCRIBER, key=KEY, body=body)
            for request in (store, push):
                reply = await thief.network.ask(victim, request, 1.0)
                assert isinstance(reply, Failed), request
                assert reply.code == "forged"
        # It offers, as repair does, and serves what it has made up.
        thief.base.subscribers._records[KEY] = body
        offer = Offer(kind=RecordKind.SUBSCRIBER, records=((KEY, b"otherwise"),))
        assert isinstance(await thief.network.ask(two.own.node_id, offer, 1.0), Wanted)
        for name in ("n2", "n3"):
            node = farm.nodes[name]
            node.records.hot._subscribers.clear()
            secrets = await farm.ask(name, proxy_messages.Authenticate(aor=ALICE))
            assert secrets.ha1 == genuine.ha1
            node.base.subscribers._records.pop(KEY)
            secrets = await farm.ask(name, proxy_messages.Authenticate(aor=ALICE))
            assert secrets.ha1 == genuine.ha1
            assert node.base.vetting.refused > 0
        for name in ("n2", "n3"):
            with pytest.raises(RefusedError) as refused:
                await farm.ask(name, operator_messages.PutSubscriber(record=forged))
            assert refused.value.code == "forged"

    play(tmp_path, story, repair_interval_ms=60_000)


def test_names_that_a_thief_lists_are_not_shown(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        thief, _, _ = await three(farm)
        eve = subscriber.with_password("eve@farm.test", "x", 1)
        thief.base.subscribers.merge(key_of(RecordKind.SUBSCRIBER, eve.aor), eve)
        assert (await farm.ask("n2", operator_messages.ListSubscribers())).aors == ()

    play(tmp_path, story)


def test_an_old_version_that_is_played_again_changes_nothing(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        thief, two, _ = await three(farm)
        old, new = farm.subscriber(ALICE, "old", 7), farm.subscriber(ALICE, "new", 8)
        await farm.ask("n2", operator_messages.PutSubscriber(record=old))
        await farm.ask("n2", operator_messages.PutSubscriber(record=new))
        body = subscriber.encode(old)
        store = Store(kind=RecordKind.SUBSCRIBER, key=KEY, body=body)
        await thief.network.ask(two.own.node_id, store, 1.0)
        push = Changed(kind=RecordKind.SUBSCRIBER, key=KEY, body=body)
        await thief.network.ask(two.own.node_id, push, 1.0)
        assert (await farm.ask("n2", proxy_messages.Authenticate(aor=ALICE))).ha1 == new.ha1
        with pytest.raises(RefusedError) as refused:
            await farm.ask("n3", operator_messages.PutSubscriber(record=old))
        assert refused.value.code == "outdated"
        in_force = await farm.ask("n3", operator_messages.GetSubscriber(aor=ALICE))
        assert (in_force.version, in_force.removed) == (8, False)
        await farm.ask("n3", operator_messages.PutSubscriber(record=farm.removal(ALICE, 9)))
        in_force = await farm.ask("n1", operator_messages.GetSubscriber(aor=ALICE))
        assert (in_force.version, in_force.removed) == (9, True)

    play(tmp_path, story)


def test_repair_does_not_spread_what_rotted(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        one, two, _ = await three(farm)
        genuine = farm.subscriber(ALICE, "wonder", 7)
        await farm.ask("n1", operator_messages.PutSubscriber(record=genuine))
        rotten = subscriber.encode(forge(genuine, ha1="0" * 32))

        async def refused() -> bool:
            # Again and again: another's offer may heal it before n1 offers it.
            one.base.subscribers._records[KEY] = rotten
            return two.base.vetting.refused > 0

        await eventually(refused)
        fetch = Fetch(kind=RecordKind.SUBSCRIBER, key=KEY)
        reply = await one.network.ask(two.own.node_id, fetch, 1.0)
        assert isinstance(reply, Fetched)
        assert reply.bodies == (subscriber.encode(genuine),)

    play(tmp_path, story)
