"""One node exports the billing records, each once; another takes over when it dies."""

import asyncio
import csv
from pathlib import Path

import pytest

from overlay.billing.exporter import unmarked
from overlay.billing.sinks.sink import SinkError
from overlay.records import call as events_of
from overlay.records.call import EventKind
from overlay.records.names import RecordKind, key_of
from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import start_event, stop_event
from tests.waiting import eventually, until

NAMES = ("n1", "n2", "n3")


def exported(directory: Path) -> list[str]:
    """Call-IDs in all files, finished or not, of all nodes."""
    found: list[str] = []
    for path in directory.glob("cdr/cdr-*.csv*"):
        if "manifest" in path.name:
            continue
        with path.open(newline="") as file:
            found += [each["callid"] for each in csv.DictReader(file)]
    return sorted(found)


async def started(farm: Farm) -> None:
    """Three nodes that write files into one directory."""
    farm.sections["export"] = {"files": ["csv"], "directory": str(farm.directory / "cdr")}
    await farm.start(*NAMES)
    await farm.joined()


async def call(farm: Farm, call_id: str, node: str = "n1") -> None:
    """A call that is over."""
    for event in (start_event(call_id), stop_event(call_id)):
        answer = await farm.ask(node, event)
        assert answer.level == "quorum"


def backlog(farm: Farm) -> int:
    """What is not settled yet, over all nodes."""
    return sum(node.billing.exporter.progress["csv"].backlog for node in farm.nodes.values())


async def settled(farm: Farm) -> None:
    """Every node knows that every sink has all."""

    async def empty() -> bool:
        far_us = 2**62
        depths = [
            await node.committer.read(lambda db: db.outbox_backlog("csv", far_us))
            for node in farm.nodes.values()
        ]
        return not any(depths)

    await eventually(empty)


def test_every_call_is_exported_once_by_one_node(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await started(farm)
        ids = sorted(f"call-{number}" for number in range(40))
        await asyncio.gather(*(call(farm, each, NAMES[i % 3]) for i, each in enumerate(ids)))
        await until(lambda: exported(tmp_path) == ids, what="all are exported")
        await settled(farm)
        assert exported(tmp_path) == ids
        shares = [node.billing.exporter.progress["csv"].taken for node in farm.nodes.values()]
        assert all(shares), "every node exports the calls that it is nearest to"
        assert sum(shares) == len(ids)
        # What was exported stays so over a restart of all nodes.
        await farm.stop()
        await farm.start(*NAMES)
        await farm.joined()
        await call(farm, "one-more")
        await until(lambda: "one-more" in exported(tmp_path), what="the next one is exported")
        await settled(farm)
        assert exported(tmp_path) == sorted([*ids, "one-more"])

    play(tmp_path, story)


def test_an_open_call_waits_for_its_end(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await started(farm)
        await farm.ask("n1", start_event("open"))
        await call(farm, "over")
        await until(lambda: exported(tmp_path) == ["over"], what="the other one is exported")
        await farm.ask("n2", stop_event("open"))
        await until(lambda: exported(tmp_path) == ["open", "over"], what="it is exported")

    play(tmp_path, story)


async def refuse(_: object) -> None:
    """A sink that takes nothing."""
    raise SinkError("broken")


def test_the_next_replica_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(farm: Farm) -> None:
        await started(farm)
        first = farm.nodes["n1"].records.placement.of(key_of(RecordKind.CALL, "mine"))[0].name
        others = [name for name in NAMES if name != first]
        monkeypatch.setattr(farm.nodes[first].billing.exporter.sinks[0], "take", refuse)
        await call(farm, "mine", others[0])
        progress = farm.nodes[first].billing.exporter.progress["csv"]
        await until(lambda: progress.last_error == "broken", what="the first replica has tried")
        assert exported(tmp_path) == []
        await farm.stop(first)
        for name in others:
            # Nobody waits twenty seconds for the next look in a test.
            farm.nodes[name].billing.exporter.again_s = 0.2
        await until(lambda: exported(tmp_path) == ["mine"], 60, "another node has exported it")

    play(tmp_path, story)


def test_a_sink_that_is_new_gets_all_calls(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start(*NAMES)
        await farm.joined()
        await call(farm, "before")
        await farm.stop()
        await started(farm)
        await until(lambda: exported(tmp_path) == ["before"], what="it is exported")

    play(tmp_path, story)


def test_a_later_event_is_exported_as_a_new_revision() -> None:
    start, stop = start_event("c").event, stop_event("c").event
    (row,), final = unmarked((start, stop), "csv")
    assert (row.revision, row.state, final) == (2, "complete", True)
    assert start.kind is EventKind.START
    rows, final = unmarked((start,), "csv")
    assert (rows, final) == ((), False)


def test_what_cannot_be_read_keeps_no_call_from_a_sink() -> None:
    """An event of a kind that a later version wrote."""
    start, stop = start_event("c").event, stop_event("c").event
    bodies = [events_of.encode(start), b"\x92\xcc\xc8\x00", b"\xc1", events_of.encode(stop)]
    rows, final = unmarked(events_of.readable(bodies), "csv")
    assert ([row.state for row in rows], final) == (["complete"], True)
