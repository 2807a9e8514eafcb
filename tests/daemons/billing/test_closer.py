"""The nearest live replica closes, once, a call whose BYE never came."""

import time
from pathlib import Path
from typing import Any

import msgspec

from overlay.control.operator_messages import ShowCall
from overlay.control.proxy_messages import WriteEvent
from overlay.records.names import RecordKind, key_of
from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import start_event, stop_event
from tests.waiting import eventually, until

NAMES = ("n1", "n2", "n3")
AGO_US = 3_600 * 1_000_000


def lost(call_id: str, session_s: int = 90) -> WriteEvent:
    """The START of an hour ago of a call that was to be refreshed."""
    event = start_event(call_id).event
    time_us = time.time_ns() // 1000 - AGO_US
    return WriteEvent(event=msgspec.structs.replace(event, time_us=time_us, session_s=session_s))


async def up(farm: Farm) -> None:
    """Three nodes that close calls."""
    await farm.start(*NAMES)
    await farm.joined()


async def shown(farm: Farm, call_id: str, node: str = "n1") -> Any:
    """The call's record."""
    answer = await farm.ask(node, ShowCall(call_id=call_id))
    (record,) = answer.calls
    return record


async def look(farm: Farm) -> None:
    """Have every node look for overdue calls now."""
    for node in farm.nodes.values():
        await node.billing.closer.close_overdue()


def test_a_lost_call_is_closed_once_and_a_living_one_is_not(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await up(farm)
        await farm.ask("n1", lost("lost"))
        await farm.ask("n2", start_event("living"))

        async def closed() -> bool:
            await look(farm)
            return bool((await shown(farm, "lost")).state == "closed")

        await eventually(closed)
        record = await shown(farm, "lost", "n3")
        assert (record.cause, record.duration_ms, len(record.event_ids)) == ("lost-bye", 0, 2)
        assert sum(node.billing.closer.closed for node in farm.nodes.values()) == 1
        assert (await shown(farm, "living")).state == "open"
        await farm.ask("n2", stop_event("lost"))
        assert (await shown(farm, "lost")).state == "complete"

    play(tmp_path, story)


def test_the_next_one_closes_it_when_the_nearest_died_and_after_a_restart(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await up(farm)
        nearest = farm.nodes["n1"].records.placement.of(key_of(RecordKind.CALL, "lost"))[0].name
        for node in farm.nodes.values():
            await node.billing.closer.stop()
        await farm.ask("n1", lost("lost"))
        await farm.stop()
        # They find it on their disks, without the one whose turn it would have been.
        left = [name for name in NAMES if name != nearest]
        await farm.start(*left)
        await farm.joined()

        async def closed() -> bool:
            await look(farm)
            for node in farm.nodes.values():
                node.billing.closer.open_calls.again(key_of(RecordKind.CALL, "lost"), 0, 0)
            return bool((await shown(farm, "lost", left[0])).state == "closed")

        await eventually(closed)

    play(tmp_path, story)


async def all_ended(farm: Farm) -> None:
    """Wait until no node counts a call that has not ended."""

    def counts() -> dict[str, int]:
        return {name: len(node.billing.closer.open_calls) for name, node in farm.nodes.items()}

    await until(lambda: not any(counts().values()), what="no node counts an open call")


def test_a_node_that_missed_the_ends_makes_nobody_count_the_calls_again(tmp_path: Path) -> None:
    """When it is back it offers what it has: the beginnings alone."""

    async def story(farm: Farm) -> None:
        await up(farm)
        calls = [f"call-{number}" for number in range(10)]
        for call_id in calls:
            await farm.ask("n1", start_event(call_id))
        await until(
            lambda: all(len(n.billing.closer.open_calls) == 10 for n in farm.nodes.values())
        )
        await farm.stop("n3")
        for call_id in calls:
            await farm.ask("n1", stop_event(call_id))
        await all_ended(farm)
        sent = {name: node.records.repair.sent for name, node in farm.nodes.items()}
        await farm.start("n3")
        await farm.joined()

        async def repaired() -> bool:
            held = [
                await node.committer.read(
                    lambda db: [len(db.events(key_of(RecordKind.CALL, each))) for each in calls]
                )
                for node in farm.nodes.values()
            ]
            return held == [[2] * len(calls)] * 3

        await eventually(repaired)
        assert farm.nodes["n3"].records.repair.sent or any(
            farm.nodes[name].records.repair.sent > before for name, before in sent.items()
        )
        await all_ended(farm)

    play(tmp_path, story)


def test_a_node_that_is_no_replica_any_more_does_not_count_the_call(tmp_path: Path) -> None:
    """Its end goes to those who are."""

    async def story(farm: Farm) -> None:
        await up(farm)
        calls = [f"call-{number}" for number in range(20)]
        for call_id in calls:
            await farm.ask("n1", start_event(call_id))
        await until(
            lambda: all(len(n.billing.closer.open_calls) == 20 for n in farm.nodes.values())
        )
        await farm.start("n4")
        await farm.joined()
        placement = farm.nodes["n4"].records.placement

        def taken_over() -> int:
            places = [placement.of(key_of(RecordKind.CALL, each)) for each in calls]
            return sum(any(node.name == "n4" for node in nodes) for nodes in places)

        assert taken_over(), "n4 keeps none of them"
        await until(lambda: len(farm.nodes["n4"].billing.closer.open_calls) == taken_over())

        async def told_alike() -> bool:
            await look(farm)
            return sum(len(n.billing.closer.open_calls) for n in farm.nodes.values()) == 3 * len(
                calls
            )

        await eventually(told_alike)
        for call_id in calls:
            await farm.ask("n1", stop_event(call_id))
        await all_ended(farm)

    play(tmp_path, story)
