"""Prints the results: a line of JSON for each benchmark for programs, a table for people.

In: comparisons and readings. Out: `Result`s with goal, figures, machine and versions. A missed goal
is shown as plainly as a reached one.
"""

import importlib.metadata
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
from bench.measure import Comparison, Figures
from bench.reading import Better, Reading


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    cpu: str
    cores: int
    memory_mib: int
    kernel: str
    load_average: float
    """One minute's, before the run: others' work makes figures worse."""


class SideResult(msgspec.Struct, frozen=True, kw_only=True):
    """One side, microseconds of CPU."""

    median_us: float
    min_us: float
    max_us: float
    idle_us_per_s: float
    programs_us: dict[str, float]
    """The mean of all rounds, by program."""
    retransmissions: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark's outcome; `value` is ours divided by the peer's, the median of all rounds."""

    name: str
    title: str
    goal: float
    """`value` is to be at most this."""
    value: float
    value_min: float
    value_max: float
    unit: str
    holds: bool
    ours: SideResult
    peer: SideResult
    rounds: tuple[tuple[float, float], ...]
    """Ours and the peer's, microseconds."""
    work_per_round: int
    rate: float
    nodes: int
    machine: Machine
    versions: dict[str, str]


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """One side's values over the rounds."""

    median: float
    min: float
    max: float


class ReadingResult(msgspec.Struct, frozen=True, kw_only=True):
    """One figure with a goal of its own; `value` is ours in the middle round."""

    name: str
    """The benchmark, and what of it: `P4 cold p99`."""
    goal: float
    better: Better
    """`lower`: the value is to be at most the goal; `higher`: at least."""
    value: float
    unit: str
    holds: bool
    ours: Spread
    peers: dict[str, Spread]
    note: str
    rounds: tuple[float, ...]
    """Ours."""
    nodes: int
    machine: Machine
    versions: dict[str, str]


def reading_result(
    name: str, reading: Reading, nodes: int, machine: Machine, versions: dict[str, str]
) -> ReadingResult:
    """A reading, rounded."""
    return ReadingResult(
        name=f"{name} {reading.name}",
        goal=reading.goal,
        better=reading.better,
        value=round(reading.value, 2),
        unit=reading.unit,
        holds=reading.holds,
        ours=_spread(reading.ours),
        peers={peer: _spread(values) for peer, values in reading.peers.items()},
        note=reading.note,
        rounds=tuple(round(value, 2) for value in reading.ours),
        nodes=nodes,
        machine=machine,
        versions=versions,
    )


def _spread(values: Sequence[float]) -> Spread:
    return Spread(
        median=round(statistics.median(values), 2),
        min=round(min(values), 2),
        max=round(max(values), 2),
    )


def side_result(figures: Figures) -> SideResult:
    """One side's figures, rounded."""
    return SideResult(
        median_us=round(figures.median_us, 1),
        min_us=round(min(figures.unit_us), 1),
        max_us=round(max(figures.unit_us), 1),
        idle_us_per_s=round(figures.idle_us_per_s),
        programs_us={name: round(spent, 1) for name, spent in figures.programs_us.items()},
        retransmissions=figures.retransmissions,
    )


def rounds_of(comparison: Comparison) -> tuple[tuple[float, float], ...]:
    """Both sides' figures, a pair a round."""
    pairs = zip(comparison.ours.unit_us, comparison.peer.unit_us, strict=True)
    return tuple((round(ours, 1), round(peer, 1)) for ours, peer in pairs)


def as_json(result: Result | ReadingResult) -> str:
    """One line."""
    return msgspec.json.encode(result).decode()


def as_text(result: Result | ReadingResult) -> str:
    """A few lines for people."""
    return _compared(result) if isinstance(result, Result) else _read(result)


def _read(result: ReadingResult) -> str:
    verdict = "reached" if result.holds else "NOT REACHED"
    bound = "at most" if result.better is Better.LOWER else "at least"
    lines = [
        f"{result.name}  {result.value:g} {result.unit} "
        f"({result.ours.min:g} to {result.ours.max:g} in {len(result.rounds)} rounds), "
        f"goal {bound} {result.goal:g}: {verdict}"
    ]
    lines += [
        f"    {name}: {peer.median:g} {result.unit} ({peer.min:g} to {peer.max:g})"
        for name, peer in result.peers.items()
    ]
    if result.note:
        lines.append(f"    {result.note}")
    return "\n".join(lines)


def _compared(result: Result) -> str:
    verdict = "reached" if result.holds else "NOT REACHED"
    lines = [
        f"{result.name}  {result.title}",
        f"    ratio {result.value:.2f} ({result.value_min:.2f} to {result.value_max:.2f}), "
        f"goal at most {result.goal:.2f}: {verdict}",
        f"    {len(result.rounds)} rounds of {result.work_per_round} on each side "
        f"at {result.rate:g}/s",
        f"    {'':6}{'median us':>10}{'min':>8}{'max':>8}{'idle us/s':>11}{'resent':>8}",
    ]
    lines += [
        f"    {name:6}{side.median_us:10.0f}{side.min_us:8.0f}{side.max_us:8.0f}"
        f"{side.idle_us_per_s:11.0f}{side.retransmissions:8}"
        for name, side in (("ours", result.ours), ("peer", result.peer))
    ]
    for name, side in (("ours", result.ours), ("peer", result.peer)):
        programs = [f"{program} {spent:.0f}" for program, spent in side.programs_us.items()]
        lines.append(f"    {name}, us by program: {', '.join(programs)}")
    return "\n".join(lines)


def machine() -> Machine:
    """This machine, as it is now."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return Machine(
        cpu=model[1].strip() if model else platform.machine(),
        cores=os.cpu_count() or 1,
        memory_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        kernel=platform.release(),
        load_average=os.getloadavg()[0],
    )


def versions() -> dict[str, str]:
    """Of everything that is measured."""
    return {
        "sipfarm": importlib.metadata.version("sipfarm"),
        "python": platform.python_version(),
        "kamailio": _version(["kamailio", "-v"]),
        "redis": _version(["redis-server", "--version"]),
        "pdns": _version(["pdns_server", "--version"]),
        "postgresql": _postgresql(),
        "sipp": _version(["sipp", "-v"]),
    }


def _postgresql() -> str:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return _version([str(found[-1]), "--version"]) if found else ""


def _version(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
    return found[0] if found else ""
