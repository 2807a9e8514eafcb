"""Whole daemons together: they join, register, bill, lose nodes and take them back."""

import asyncio
import errno
import time
from pathlib import Path

import msgspec
import pytest
from redis import Redis

from overlay.base.errors import StorageError
from overlay.base.limits import HEADER_CHARS_MAX
from overlay.control import operator_messages, proxy_messages
from overlay.control.client import RefusedError
from overlay.membership.members import State
from overlay.records import registration
from overlay.records.call import CallEvent, EventKind
from overlay.records.names import RecordKind, key_of
from overlay.records.register import ContactChange, RegisterOutcome
from overlay.records.targets import Reach, decode_cached, redis_key
from overlay.storage.database import RecordsDatabase
from overlay.storage.rows import JournalDone, Row
from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import register, start_event, stop_event
from tests.waiting import eventually, until

ALICE = "alice@farm.test"
CONTACT = "sip:alice@192.0.2.7:5060"
THREE = ("n1", "n2", "n3")


async def three(farm: Farm) -> None:
    await farm.start(*THREE)
    await farm.joined()


def test_a_subscriber_added_at_one_node_is_known_to_all(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        record = farm.subscriber(ALICE, "wonder", 1)
        assert (await farm.ask("n1", operator_messages.PutSubscriber(record=record))).detail
        for name in THREE:
            secrets = await farm.ask(name, proxy_messages.Authenticate(aor=ALICE))
            assert secrets.ha1 == record.ha1
            unknown = await farm.ask(name, proxy_messages.Authenticate(aor="eve@farm.test"))
            assert unknown.ha1 == ""
            assert (await farm.ask(name, proxy_messages.Locate(aor=ALICE))).reach is Reach.OFFLINE
            assert (
                await farm.ask(name, proxy_messages.Locate(aor="eve@farm.test"))
            ).reach is Reach.UNKNOWN
            assert (await farm.ask(name, operator_messages.ListSubscribers())).aors == (ALICE,)
        gone = farm.removal(ALICE, 2)
        await farm.ask("n3", operator_messages.PutSubscriber(record=gone))
        for name in THREE:
            assert (await farm.ask(name, proxy_messages.Authenticate(aor=ALICE))).ha1 == ""
            assert (await farm.ask(name, operator_messages.ListSubscribers())).aors == ()

    play(tmp_path, story)


def test_a_reregister_is_seen_everywhere_as_soon_as_it_is_acknowledged(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        for cseq in range(1, 60):
            contact = f"sip:alice@192.0.2.7:{5000 + cseq}"
            change = ContactChange(uri=contact, expires_s=60)
            asked = proxy_messages.Register(
                aor=ALICE, call_id=f"c{cseq}", cseq=1, contacts=(change,)
            )
            await farm.ask(
                "n1", proxy_messages.Register(aor=ALICE, call_id="x", cseq=cseq, remove_all=True)
            )
            done = await farm.ask(THREE[cseq % 3], asked)
            assert done.outcome is RegisterOutcome.DONE
            for name in THREE:
                located = await farm.ask(name, proxy_messages.Locate(aor=ALICE))
                assert [target.uri for target in located.targets] == [contact], (cseq, name)

    play(tmp_path, story)


def test_a_node_that_is_no_replica_registers_and_locates_too(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        names = [f"n{n}" for n in range(1, 7)]
        await farm.start(*names)
        await farm.joined()
        for number, name in enumerate(names * 3):
            aor = f"user{number}@farm.test"
            done = await farm.ask(name, register(aor, CONTACT))
            assert done.outcome is RegisterOutcome.DONE
            for other in names:
                located = await farm.ask(other, proxy_messages.Locate(aor=aor))
                assert located.reach is Reach.FOUND
            location = await farm.ask(name, operator_messages.GetLocation(aor=aor))
            assert len(location.replicas) == 3
            fetched = await farm.ask(
                name, proxy_messages.Register(aor=aor, call_id="other", cseq=1)
            )
            assert [bound.uri for bound in fetched.bindings] == [CONTACT]

    play(tmp_path, story)


def test_one_event_written_by_two_nodes_is_one(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        start, stop = start_event("call-1"), stop_event("call-1")
        for name, request in (("n1", start), ("n2", start), ("n3", stop), ("n3", stop)):
            assert (await farm.ask(name, request)).level == "quorum"
        for name in THREE:
            (record,) = (await farm.ask(name, operator_messages.ShowCall(call_id="call-1"))).calls
            assert (record.state, record.hangup) == ("complete", "callee")
            assert len(record.event_ids) == 2
            assert record.nodes == ("n1", "n3")

    play(tmp_path, story)


def test_lists_of_calls_are_whole_whatever_the_page_size(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        names = [f"n{n}" for n in range(1, 6)]
        await farm.start(*names)
        await farm.joined()
        expected = [f"call-{number:02}" for number in range(40)]
        for number, call_id in enumerate(expected):
            await farm.ask(names[number % 5], start_event(call_id))
        for number, call_id in enumerate(expected):
            await farm.ask(names[number % 3], stop_event(call_id))
        for limit in (1, 7, 100):
            seen, cursor = [], ""
            while True:
                page = await farm.ask("n4", operator_messages.ListCalls(limit=limit, cursor=cursor))
                seen += [record.call_id for record in page.calls]
                cursor = page.cursor
                if not cursor:
                    break
            assert seen == expected

    play(tmp_path, story)


def large(call_id: str) -> CallEvent:
    """The START of a call with headers as long as they may be, 12 KB in all."""
    text = "\N{MUSICAL SYMBOL G CLEF}" * HEADER_CHARS_MAX
    event = start_event(call_id).event
    return msgspec.structs.replace(event, user_agent=text, contact=text, reason=text)


def test_a_page_too_large_for_a_frame_is_cut_and_the_list_goes_on(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        for number in range(150):
            event = large(f"call-{number:03}")
            await farm.ask(THREE[number % 3], proxy_messages.WriteEvent(event=event))
        seen, cursor, pages = [], "", 0
        while True:
            page = await farm.ask("n2", operator_messages.ListCalls(limit=1_000, cursor=cursor))
            assert page.silent == ()
            seen += [record.call_id for record in page.calls]
            cursor, pages = page.cursor, pages + 1
            if not cursor:
                break
        assert seen == [f"call-{number:03}" for number in range(150)]
        assert pages > 1

    play(tmp_path, story)


def test_a_full_disk_here_makes_the_others_hold_the_event(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        node = farm.nodes["n1"]
        disk = node.committer._disk
        disk._database._connection.pragma("max_page_count", 1)

        def no_room(_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        disk._settling._log.append = no_room
        for number in range(3):
            event = large(f"call-{number}")
            written = await farm.ask("n1", proxy_messages.WriteEvent(event=event))
            assert written.level == "quorum"
            (record,) = (
                await farm.ask("n2", operator_messages.ShowCall(call_id=f"call-{number}"))
            ).calls
            assert set(record.replicas) >= {"n2", "n3"}
        assert "Full" in node.committer.last_error
        disk._database._connection.pragma("max_page_count", 1_000_000)

    play(tmp_path, story)


def test_a_bad_cursor_is_refused(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1")
        with pytest.raises(RefusedError, match="cursor") as refused:
            await farm.ask("n1", operator_messages.ListCalls(cursor="nonsense!"))
        assert refused.value.code == "bad-request"

    play(tmp_path, story)


def test_losing_a_node_loses_nothing_and_is_known_at_once(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        await farm.ask("n1", register(ALICE, CONTACT))
        await farm.ask("n1", start_event("call-1"))
        await farm.stop("n1")
        began_s = time.monotonic()
        await until(lambda: all(len(n.membership.alive()) == 2 for n in farm.nodes.values()))
        assert time.monotonic() - began_s < 5.0
        for name in ("n2", "n3"):
            assert (await farm.ask(name, proxy_messages.Locate(aor=ALICE))).reach is Reach.FOUND
            (record,) = (await farm.ask(name, operator_messages.ShowCall(call_id="call-1"))).calls
            assert record.state == "open"
        assert (await farm.ask("n2", stop_event("call-1"))).level == "quorum"
        (record,) = (await farm.ask("n3", operator_messages.ShowCall(call_id="call-1"))).calls
        assert record.state == "complete"

    play(tmp_path, story)


def test_a_node_alone_journals_and_hands_over_when_others_come_back(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        await farm.stop("n2", "n3")
        await until(lambda: len(farm.nodes["n1"].membership.alive()) == 1)
        done = await farm.ask("n1", register(ALICE, CONTACT))
        assert (done.outcome, done.weak) == (RegisterOutcome.DONE, True)
        await farm.nodes["n1"].control.readiness.check()
        assert farm.nodes["n1"].records.registrations.weak == 1, "a node's own probe is no REGISTER"
        assert not (await farm.ask("n1", operator_messages.GetLocation(aor=ALICE))).complete
        assert (await farm.ask("n1", start_event("call-1"))).level == "journal"
        assert farm.nodes["n1"].records.events.journal_depth == 1
        await farm.start("n2", "n3")
        await farm.joined()
        await until(
            lambda: farm.nodes["n1"].records.events.journal_depth == 0, what="journal is empty"
        )
        await farm.stop("n1")
        for name in ("n2", "n3"):
            (record,) = (await farm.ask(name, operator_messages.ShowCall(call_id="call-1"))).calls
            assert record.levels == ("journal",)
        await eventually(lambda: reached(farm, "n2", ALICE))
        assert (await farm.ask("n2", operator_messages.GetLocation(aor=ALICE))).complete
        assert not (await farm.ask("n2", register(ALICE, CONTACT, 2))).weak

    play(tmp_path, story)


async def reached(farm: Farm, name: str, aor: str) -> bool:
    located = await farm.ask(name, proxy_messages.Locate(aor=aor))
    return bool(located.reach is Reach.FOUND)


def test_the_journal_survives_a_restart(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1")
        assert (await farm.ask("n1", start_event("call-1"))).level == "journal"
        await farm.stop()
        await three(farm)
        await until(lambda: farm.nodes["n1"].records.events.journal_depth == 0)
        (record,) = (await farm.ask("n3", operator_messages.ShowCall(call_id="call-1"))).calls
        assert len(record.replicas) >= 2

    play(tmp_path, story)


def test_a_note_that_a_full_disk_kept_is_taken_away_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = RecordsDatabase.commit
    refused = []

    def full_at_first(database: RecordsDatabase, rows: list[Row]) -> None:
        if not refused and any(isinstance(row, JournalDone) for row in rows):
            refused.append(rows)
            raise StorageError("database or disk is full")
        commit(database, rows)

    async def story(farm: Farm) -> None:
        await three(farm)
        events = farm.nodes["n1"].records.events
        kept: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        event = CallEvent(
            kind=EventKind.START,
            event_id=b"e" * 20,
            call_id="call-1",
            from_tag="a",
            to_tag="b",
            time_us=1,
        )
        key = key_of(RecordKind.CALL, "call-1")
        events.journal.keep(key, event, kept.set_result)
        assert await kept is None, "no error"
        monkeypatch.setattr(RecordsDatabase, "commit", full_at_first)
        events.journal.settled(event.event_id)
        await until(lambda: bool(refused) and events.journal_depth == 0, what="it is gone")
        assert await farm.nodes["n1"].committer.read(lambda db: db.journal_depth()) == 0

    play(tmp_path, story)


def test_everything_survives_a_restart_of_all_nodes_at_once(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        record = farm.subscriber(ALICE, "wonder", 1)
        await farm.ask("n1", operator_messages.PutSubscriber(record=record))
        await farm.ask("n2", register(ALICE, CONTACT))
        await farm.ask("n3", start_event("call-1"))
        await farm.stop()
        await three(farm)
        for name in THREE:
            assert await reached(farm, name, ALICE)
            assert (await farm.ask(name, proxy_messages.Authenticate(aor=ALICE))).ha1 == record.ha1
            assert (await farm.ask(name, operator_messages.ShowCall(call_id="call-1"))).calls

    play(tmp_path, story)


def test_new_nodes_are_handed_what_they_should_hold(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        for number in range(30):
            await farm.ask("n1", register(f"user{number}@farm.test", CONTACT))
            await farm.ask("n1", start_event(f"call-{number}"))
        await farm.start("n4", "n5", "n6")
        await farm.joined()
        names = list(farm.nodes)

        def complete() -> bool:
            for number in range(30):
                key = key_of(RecordKind.REGISTRATION, f"user{number}@farm.test")
                for info in farm.nodes["n1"].records.placement.of(key):
                    if farm.nodes[info.name].bindings.get(key) is None:
                        return False
            return True

        await until(complete, what="every replica has its registrations")

        async def calls_complete() -> bool:
            for number in range(30):
                shown = await farm.ask(
                    names[3], operator_messages.ShowCall(call_id=f"call-{number}")
                )
                if not shown.calls or len(shown.calls[0].replicas) < 3:
                    return False
            return True

        await eventually(calls_complete)

    play(tmp_path, story)


def test_a_read_repairs_a_replica_that_lost_its_copy(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        await farm.ask("n1", register(ALICE, CONTACT))
        key = key_of(RecordKind.REGISTRATION, ALICE)
        node = farm.nodes["n2"]
        await until(lambda: node.bindings.get(key) is not None)
        node.bindings.forget(key)
        assert await reached(farm, "n2", ALICE)
        await until(lambda: node.bindings.get(key) is not None)

    play(tmp_path, story, repair_interval_ms=600_000)


def test_a_node_that_was_a_replica_shows_nothing_older_than_its_own_copy(tmp_path: Path) -> None:
    """While the replicas were away it took their place; back again, they know less than it."""

    async def story(farm: Farm) -> None:
        names = [f"n{n}" for n in range(1, 6)]
        await farm.start(*names)
        await farm.joined()
        await farm.ask("n1", register(ALICE, CONTACT))
        key = key_of(RecordKind.REGISTRATION, ALICE)
        replicas = {node.name for node in farm.nodes["n1"].records.placement.of(key)}
        former = farm.nodes[next(name for name in names if name not in replicas)]
        copies = (farm.nodes[name].records.replica.registration(key) for name in replicas)
        first = next(copy for copy in copies if copy)[0]
        newer = msgspec.structs.replace(first, contact="sip:alice@192.0.2.8:5060", cseq=99)
        former.bindings.put(key, registration.encode((newer,)))
        located = await farm.ask(former.own.name, proxy_messages.Locate(aor=ALICE))
        assert newer.contact in [target.uri for target in located.targets]

        def repaired() -> bool:
            copies = [farm.nodes[name].records.replica.registration(key) for name in replicas]
            return sum(any(b.contact == newer.contact for b in copy) for copy in copies) >= 2

        await until(repaired, what="those that were read know it, too")

    play(tmp_path, story)


def test_what_a_node_with_a_clock_behind_wrote_replaces_nothing(tmp_path: Path) -> None:
    """Its REGISTER had ended before it came, so the others refused it; its own copy has it."""

    async def story(farm: Farm) -> None:
        await three(farm)
        await farm.ask("n1", register(ALICE, CONTACT))
        key = key_of(RecordKind.REGISTRATION, ALICE)
        node = farm.nodes["n2"]
        await until(lambda: node.bindings.get(key) is not None)
        (good,) = node.records.replica.registration(key)
        wrong = msgspec.structs.replace(good, cseq=7, expires_at_ms=good.expires_at_ms - 3_600_000)
        node.bindings.put(key, registration.encode((wrong,)))
        for name in THREE:
            located = await farm.ask(name, proxy_messages.Locate(aor=ALICE))
            assert [target.uri for target in located.targets] == [CONTACT], name
        await until(lambda: node.records.replica.registration(key) == (good,), what="it is mended")

    play(tmp_path, story)


def test_a_frozen_peer_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """n3 answers nothing, as a stopped process would, but its connections stay open."""

    async def story(farm: Farm) -> None:
        await three(farm)
        farm.nodes["n3"].network._handler = Silent()  # type: ignore[assignment]
        for number in range(5):
            aor = f"user{number}@farm.test"
            assert (await farm.ask("n1", register(aor, CONTACT))).outcome is RegisterOutcome.DONE
            assert (await farm.ask("n1", start_event(f"c{number}"))).level == "quorum"
            assert await reached(farm, "n2", aor)
        own = farm.nodes["n1"].membership
        n3 = farm.nodes["n3"].own.node_id
        await until(
            lambda: (member := own.members.get(n3)) is not None and member.state is not State.ALIVE,
            what="n3 is found out",
        )

    play(tmp_path, story)


class Silent:
    """A handler that never answers."""

    def peer_up(self, hello: object) -> None: ...
    def peer_down(self, node_id: bytes, reason: str, left: bool) -> None: ...
    def request_received(self, sender: object, request: object, reply: object) -> None: ...


def test_a_farm_larger_than_its_buckets_finds_records_by_lookup(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        names = [f"n{n}" for n in range(1, 11)]
        await farm.start(*names)
        await farm.joined()
        assert not all(n.membership.dht.router.complete for n in farm.nodes.values())
        for number in range(10):
            await farm.ask(names[number], start_event(f"call-{number}"))
        for number in range(10):
            name = names[(number + 5) % 10]
            assert (
                await farm.ask(name, operator_messages.ShowCall(call_id=f"call-{number}"))
            ).calls

    play(tmp_path, story, bucket_size=4)


def test_redis_shows_what_is_hot_and_never_what_is_stale(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        path = farm.start_redis("n2")
        await three(farm)
        await until(lambda: not farm.nodes["n2"].records.projection.error, what="Redis is in use")
        redis = Redis(unix_socket_path=str(path))
        key = redis_key(ALICE)
        await farm.ask("n1", register(ALICE, CONTACT))
        assert redis.get(key) is None
        await farm.ask("n2", proxy_messages.Locate(aor=ALICE))
        await until(lambda: redis.get(key) is not None)
        assert decode_cached(redis.get(key)).targets[0].uri == CONTACT
        assert 0 < redis.pttl(key) <= 30_000
        before = CONTACT
        for cseq in range(2, 30):
            contact = f"sip:alice@192.0.2.7:{5000 + cseq}"
            moved = proxy_messages.Register(
                aor=ALICE,
                call_id=f"reg-{ALICE}",
                cseq=cseq,
                contacts=(
                    ContactChange(uri=contact, expires_s=60),
                    ContactChange(uri=before, expires_s=0),
                ),
            )
            await farm.ask(THREE[cseq % 3], moved)
            targets = decode_cached(redis.get(key)).targets
            assert [target.uri for target in targets] == [contact]
            before = contact
        star = proxy_messages.Register(aor=ALICE, call_id="other", cseq=1, remove_all=True)
        await farm.ask("n3", star)
        assert redis.get(key) is None
        redis.close()

    play(tmp_path, story)


def test_without_redis_and_after_its_return_lookups_work(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        path = farm.start_redis("n1")
        await farm.start("n1")
        node = farm.nodes["n1"]
        await until(lambda: not node.records.projection.error)
        await farm.ask("n1", register(ALICE, CONTACT))
        assert await reached(farm, "n1", ALICE)
        farm.stop_redis("n1")
        await farm.ask("n1", register(ALICE, "sip:alice@192.0.2.8", cseq=2))
        assert await reached(farm, "n1", ALICE)
        await until(lambda: bool(node.records.projection.error))
        farm.start_redis("n1")
        await until(lambda: not node.records.projection.error, what="Redis is in use again")
        redis = Redis(unix_socket_path=str(path))
        assert redis.get(redis_key(ALICE)) is None
        assert await reached(farm, "n1", ALICE)
        await until(lambda: redis.get(redis_key(ALICE)) is not None)
        redis.close()

    play(tmp_path, story)


def test_readiness_needs_a_quorum_that_answers(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await three(farm)
        status = await farm.ask("n1", operator_messages.GetStatus())
        assert [node.name for node in status.nodes] == list(THREE)
        assert all(node.ready and node.state == "alive" for node in status.nodes)
        assert sum(node.bindings for node in status.nodes) == 0
        await asyncio.sleep(0)

    play(tmp_path, story)
