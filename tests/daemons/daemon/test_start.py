"""A node starts as a whole or not at all, and every part is announced."""

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from deploy.docs.metrics import FAMILIES
from overlay.daemon import node as node_module
from overlay.daemon.node import Node
from overlay.identity import identity
from overlay.kamailio import figures as kamailio_figures
from overlay.kamailio import statistics
from overlay.links import peer_codec
from overlay.links.member_messages import DatagramKey, Idle
from overlay.observe.part import Part
from tests.daemons.farm_of_nodes import Farm, play
from tests.unit.observe.test_metric_families import name_of

OF_THE_LINKS = {Idle, DatagramKey}
"""Kinds that `overlay.links.network` answers itself."""


class Failing(Part):
    """Cannot start."""

    async def start(self) -> None:
        raise OSError("no room for it")


def running() -> tuple[set[str], set[str]]:
    """Names of the tasks and of the threads that are there, but for those of the test."""
    mine = asyncio.current_task()
    tasks = {task.get_name() for task in asyncio.all_tasks() if task is not mine}
    threads = {thread.name for thread in threading.enumerate()}
    return tasks, {name for name in threads if name.startswith(("records", "bindings"))}


def has_port(node: Node) -> bool:
    """Whether somebody listens on the node's address, by TCP or UDP."""
    where = (node.config.node.address, node.config.overlay.port)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(where)
            except OSError:
                return True
    return False


def new_node(farm: Farm, name: str) -> Node:
    config = farm.config(name)
    return Node(config, identity.load(config))


def test_a_start_that_fails_at_any_part_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_order = node_module.in_order
    failed_at, parts_there = 0, 1

    def failing_at(*args: Any) -> tuple[Part, ...]:
        nonlocal parts_there
        parts = in_order(*args)
        parts_there = len(parts)
        return (*parts[:failed_at], Failing(), *parts[failed_at:])

    async def story(farm: Farm) -> None:
        nonlocal failed_at
        before = running()
        while failed_at <= parts_there:
            node = new_node(farm, "n1")
            monkeypatch.setattr(node_module, "in_order", failing_at)
            with pytest.raises(OSError, match="no room for it"):
                await node.start()
            assert running() == before, f"after {failed_at} parts"
            assert not has_port(node), f"after {failed_at} parts"
            assert not node.config.control_socket.exists()
            failed_at += 1
        monkeypatch.undo()
        await farm.start("n1")

    play(tmp_path, story)
    assert failed_at > 30


def test_an_address_that_another_has(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        before = running()
        node = new_node(farm, "n1")
        with socket.socket() as other:
            other.bind((node.config.node.address, node.config.overlay.port))
            other.listen()
            with pytest.raises(OSError, match="in use"):
                await node.start()
            assert running() == before
        assert not has_port(node), "UDP was given back, too"
        await farm.start("n1")

    play(tmp_path, story)


def test_one_that_cannot_be_started_forgets_no_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(farm: Farm) -> None:
        await farm.start("n1", "n2")
        await farm.joined()
        await farm.stop()
        monkeypatch.setattr("overlay.membership.discovery.Discovery.start", Failing.start)
        node = new_node(farm, "n1")
        with pytest.raises(OSError, match="no room for it"):
            await node.start()
        monkeypatch.undo()
        await farm.start("n1")
        known = {member.info.name for member in farm.nodes["n1"].membership.members}
        assert known == {"n2"}

    play(tmp_path, story)


def test_a_node_answers_every_kind_of_request_and_shows_every_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Part] = []
    in_order = node_module.in_order

    def noting(*args: Any) -> tuple[Part, ...]:
        seen.extend(in_order(*args))
        return tuple(seen)

    monkeypatch.setattr(node_module, "in_order", noting)

    async def story(farm: Farm) -> None:
        await farm.start("n1")
        node = farm.nodes["n1"]
        assert node.requests.kinds == set(peer_codec.REQUESTS) - OF_THE_LINKS
        # A part that is made, and is in no list, neither starts nor answers.
        groups = (node.base, node.records, node.billing, node.operator, node.dns, node.control)
        made = [part for group in groups for part in vars(group).values() if isinstance(part, Part)]
        started = {id(part) for part in seen}
        left_out = {type(part).__name__ for part in made if id(part) not in started}
        assert left_out == {"Committer", "Bindings"}, "started before all others"
        figures = {each.family.name for part in (*seen, node.committer) for each in part.FIGURES}
        named = {name_of(metric) for metric in node.metrics.registry.collect()}
        assert figures < named
        others = {each.name for each in (*statistics.FAMILIES, *kamailio_figures.FAMILIES)}
        assert named | others == set(FAMILIES), "docs/metrics.md lists every metric"

    play(tmp_path, story)
