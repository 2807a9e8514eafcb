"""Runs DHTs that others use: OpenDHT, and the kademlia package as it comes.

In: the DHT's name, the number of nodes and of writes. Out: the times that its last node measured.
Each node is a process of its own on the loopback interface, which is cheaper than the farm's
network. Questions come from inside the node's process, whereas the farm's proxies ask over a
socket.
"""

import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import msgspec
from bench.peers.dht_node import DhtTimes, Part
from bench.processes import MeasureError

KINDS = ("opendht", "kademlia")
NOTE = "the peers' values are in memory alone: no fsync, no quorum, no authentication, no lease"
_TESTS = Path(__file__).parents[2]
_STOP_WITHIN_S = 10.0


def measure(kind: str, nodes: int, count: int, at_once: int) -> DhtTimes:
    """Start the nodes, measure at the last one; raises `MeasureError`."""
    ports = _free_ports(nodes)
    with ExitStack() as stack:
        for port in ports[:-1]:
            known = ports[0] if port != ports[0] else 0
            _node(stack, Part(kind=kind, port=port, known_port=known, count=0, at_once=0))
        part = Part(kind=kind, port=ports[-1], known_port=ports[0], count=count, at_once=at_once)
        measuring = _node(stack, part)
        assert measuring.stdout is not None
        text = measuring.stdout.readline()
    if not text:
        raise MeasureError(f"{kind}: no figures")
    times = msgspec.json.decode(text, type=DhtTimes)
    if times.failed > count // 100:
        raise MeasureError(f"{kind}: {times.failed} of {2 * count} failed")
    return times


def _node(stack: ExitStack, part: Part) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.peers.dht_node"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=_TESTS,
    )
    stack.callback(_stop, process)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(part).decode() + "\n")
    process.stdin.flush()
    if process.stdout.readline() != "ready\n":
        raise MeasureError(f"a node of {part.kind} did not start")
    return process


def _stop(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
