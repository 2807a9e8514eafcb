"""Nodes sign what they write, and `sipfarm cdr verify` finds every change to their files."""

import asyncio
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import apsw
import msgspec

from overlay.cli.main import main
from overlay.records import call
from overlay.records.call import CHAINED_FROM
from overlay.storage.schema import checksum
from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import start_event, stop_event
from tests.waiting import eventually

NAMES = ("n1", "n2", "n3")


async def started(farm: Farm) -> None:
    await farm.start(*NAMES)
    await farm.joined()


async def calls(farm: Farm, node: str, count: int, name: str = "call") -> None:
    """Calls that are over, and signed."""
    for number in range(count):
        for event in (start_event(f"{name}-{number}"), stop_event(f"{name}-{number}")):
            assert (await farm.ask(node, event)).level
    assert await farm.nodes[node].billing.ledger.seal()


async def verified(farm: Farm, node: str = "n1") -> tuple[int, dict[str, Any]]:
    """Exit code and what is told."""
    etc = farm.directory / node / "etc" / "ca.pem"
    path = farm.nodes[node].config.control_socket
    argv = ["cdr", "verify", "--json", "--socket", str(path), "--ca", str(etc)]

    def in_thread() -> tuple[int, dict[str, Any]]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = main(argv)
        return code, json.loads(out.getvalue())

    return await asyncio.get_running_loop().run_in_executor(None, in_thread)


async def everywhere(farm: Farm, rows: int) -> None:
    """Wait until all replicas have all rows."""

    async def all_there() -> bool:
        # Nodes sign blocks for each other's as well.
        return all(_count(farm.directory / name) >= rows for name in farm.nodes)

    await eventually(all_there)


async def vouched(farm: Farm, name: str, last: int = 1) -> None:
    """Have a node sign its first block, with n1's block `last` in it; it hears of a row after the
    row is in its file."""
    node, first = farm.nodes[name], farm.nodes["n1"].own.node_id

    async def heard() -> bool:
        return (first, last) in {
            (each.node_id, each.number) for each in node.billing.witness.news()
        }

    await eventually(heard)
    assert await node.billing.ledger.seal()
    assert node.billing.ledger.blocks == 1


def _database(home: Path) -> apsw.Connection:
    connection = apsw.Connection(str(home / "data" / "records.db"))
    connection.set_busy_timeout(5_000)
    # The table's index and checks use none of it here.
    connection.create_scalar_function("row_sum", checksum, -1, deterministic=True)
    return connection


def _count(home: Path) -> int:
    with contextlib.closing(_database(home)) as connection:
        return int(next(connection.execute("SELECT count(*) FROM events"))[0])


def change(home: Path, call_id: str, **fields: object) -> None:
    """Change a stored event, as who owns the disk can: checksum and all."""
    with contextlib.closing(_database(home)) as connection:
        for key, event_id, body in list(
            connection.execute("SELECT call_key, event_id, body FROM events")
        ):
            event = call.decode(body)
            if event.call_id != call_id:
                continue
            other = msgspec.structs.replace(event, **fields)
            changed = call.encode(other)
            row = (key, event_id, other.time_us, changed)
            connection.execute(
                "UPDATE events SET time_us = ?, body = ?, checksum = ? "
                "WHERE (call_key, event_id) = (?, ?)",
                (other.time_us, changed, checksum(*row), key, event_id),
            )


def remove(home: Path, where: str) -> None:
    with contextlib.closing(_database(home)) as connection:
        connection.execute(f"DELETE FROM events WHERE {where}")
        assert connection.changes()


def test_changed_files_are_found_out(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await started(farm)
        for name in NAMES:
            await calls(farm, name, 3, name)
        # 18 events and 3 blocks.
        await everywhere(farm, 21)
        code, told = await verified(farm)
        assert (code, told["findings"], told["unsigned"]) == (0, [], {})
        assert told["events"] == 18
        assert told["blocks"] >= 3

        await farm.stop()
        change(tmp_path / "n2", "n1-0", to_uri="sip:free@call")
        ids = []
        for name in NAMES:
            with contextlib.closing(_database(tmp_path / name)) as connection:
                for event_id, body in list(connection.execute("SELECT event_id, body FROM events")):
                    if call.decode(body).call_id == "n3-1":
                        ids.append(event_id.hex())
            for event_id in set(ids):
                remove(tmp_path / name, f"event_id = x'{event_id}'")
        await started(farm)
        code, told = await verified(farm, "n3")
        assert code == 1
        found = {(each["kind"], each["node"], each["what"]) for each in told["findings"]}
        assert {("missing", "n3", event_id) for event_id in ids} <= found
        altered = [each for each in told["findings"] if each["kind"] == "altered"]
        assert {each["call_id"] for each in altered} == {"n1-0"}
        assert len(found) == 4

    play(tmp_path, story, repair_interval_ms=600_000)


def test_blocks_that_are_removed_everywhere_are_missed(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await started(farm)
        for number in range(3):
            await calls(farm, "n1", 1, f"round-{number}")
        await everywhere(farm, 9)
        await farm.stop()
        for name in NAMES:
            with contextlib.closing(_database(tmp_path / name)) as connection:
                (second,) = [
                    event_id
                    for event_id, body in connection.execute("SELECT event_id, body FROM events")
                    if call.decode(body).call_id.startswith("chain:")
                    and call.decode(body).call_id.endswith(":2")
                ]
            assert second.startswith(CHAINED_FROM)
            remove(tmp_path / name, f"event_id = x'{second.hex()}'")
        await started(farm)
        code, told = await verified(farm)
        assert code == 1
        assert [each["kind"] for each in told["findings"]] == ["block-missing"]

    play(tmp_path, story)


def test_the_end_of_a_chain_that_is_cut_off_everywhere_is_missed(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await started(farm)
        for number in range(3):
            await calls(farm, "n1", 1, f"round-{number}")
        await everywhere(farm, 9)
        # Nothing happens at n2; it signs a block all the same, of what it has seen, and one is
        # enough.
        await vouched(farm, "n2", last=3)
        assert await farm.nodes["n2"].billing.ledger.seal()
        assert farm.nodes["n2"].billing.ledger.blocks == 1
        await everywhere(farm, 10)
        await farm.stop()
        for name in NAMES:
            with contextlib.closing(_database(tmp_path / name)) as connection:
                ends = [
                    event_id.hex()
                    for event_id, body in list(
                        connection.execute("SELECT event_id, body FROM events")
                    )
                    if call.decode(body).node == "n1"
                    and (
                        call.decode(body).call_id == "round-2-0"
                        or call.decode(body).call_id.endswith(":3")
                    )
                ]
            # A call without a trace: its two events, and the block that has them.
            assert len(ends) == 3
            remove(tmp_path / name, " OR ".join(f"event_id = x'{each}'" for each in ends))
        await started(farm)
        code, told = await verified(farm)
        assert code == 1
        assert [(each["kind"], each["node"]) for each in told["findings"]] == [
            ("block-missing", "n1")
        ]
        assert told["findings"][0]["what"].endswith(" block 3")

    play(tmp_path, story)


def test_idle_nodes_do_not_vouch_for_each_other_for_ever(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await started(farm)
        await calls(farm, "n1", 1)
        await everywhere(farm, 3)
        for rows in (4, 5):
            await vouched(farm, f"n{rows - 2}")
            await everywhere(farm, rows)
        for _ in range(3):
            for name in NAMES:
                assert await farm.nodes[name].billing.ledger.seal()
        assert [farm.nodes[name].billing.ledger.blocks for name in NAMES] == [1, 1, 1]

    play(tmp_path, story)


def test_a_chain_goes_on_after_a_restart_and_a_stop_signs_the_rest(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await started(farm)
        await calls(farm, "n1", 1, "before")
        await farm.ask("n1", start_event("last"))
        assert (await verified(farm))[1]["unsigned"].keys() == {"n1"}
        await farm.stop("n1")
        await farm.start("n1")
        await farm.joined()
        await calls(farm, "n1", 1, "after")

        async def whole() -> bool:
            code, told = await verified(farm, "n2")
            assert not told["findings"]
            return (code, told["events"], told["unsigned"]) == (0, 5, {}) and told["blocks"] >= 3

        await eventually(whole)

    play(tmp_path, story)


def test_blocks_are_no_calls(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await started(farm)
        await calls(farm, "n1", 1)
        assert (await farm.nodes["n1"].control.local.describe()).calls == 1
        found = await farm.nodes["n1"].committer.read(lambda db: db.calls_after((0, b""), 2**62, 9))
        assert len(found[0]) == 1

    play(tmp_path, story)
