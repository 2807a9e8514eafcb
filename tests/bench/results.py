"""Keeps the results: JSON for programs, a table and a plot for people.

In: results, as they come. Out: files in a folder that git ignores: `results.jsonl`, `results.md`,
`results.svg`. Counterpart: `main.py`. The figures in the documentation come from that table.
"""

import datetime
from collections.abc import Sequence
from pathlib import Path

from bench import report
from bench.reading import Better
from bench.report import ReadingResult, Result

FOLDER = Path(__file__).parent / "results"
_ROW_INCHES = 0.42


def keep(folder: Path, results: Sequence[Result | ReadingResult]) -> None:
    """Write the files; raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [report.as_json(result) for result in results]
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "results.md").write_text(table(results))
    _plot(folder / "results.svg", results)


def table(results: Sequence[Result | ReadingResult]) -> str:
    """A row for each figure, under a line that says when and where it was measured."""
    machine, versions = results[0].machine, results[0].versions
    now = datetime.datetime.now(datetime.UTC)
    programs = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    rows = [
        f"{now:%Y-%m-%d}, {machine.cores} cores of {machine.cpu}, {machine.memory_mib} MiB, Linux"
        f" {machine.kernel}, load {machine.load_average:.1f} before; {programs}",
        "",
        "| | ours | peers | goal | |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        reached = "reached" if result.holds else "**not reached**"
        rows.append(f"| {result.name} | {' | '.join(_cells(result))} | {reached} |")
    return "\n".join(rows) + "\n"


def _cells(result: Result | ReadingResult) -> tuple[str, str, str]:
    if isinstance(result, Result):
        ours, peer = result.ours.median_us, result.peer.median_us
        return (
            f"{ours:.0f} us; {result.value:.2f} times the peer's"
            f" ({result.value_min:.2f} to {result.value_max:.2f})",
            f"{peer:.0f} us",
            f"at most {result.goal:g}",
        )
    bound = "at most" if result.better is Better.LOWER else "at least"
    peers = "; ".join(f"{name} {peer.median:g}" for name, peer in result.peers.items())
    return (
        f"{result.value:g} {result.unit} ({result.ours.min:g} to {result.ours.max:g})",
        peers,
        f"{bound} {result.goal:g}",
    )


def _plot(path: Path, results: Sequence[Result | ReadingResult]) -> None:
    """How far each figure is from its goal: 1 is the goal, below is better."""
    # It takes a second to load, which only who measures should wait for.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + _ROW_INCHES * len(results)), layout="constrained")
    axes = figure.subplots()
    for row, result in enumerate(results):
        values = [_share(result, value) for value in _values(result)]
        middle = sorted(values)[len(values) // 2]
        axes.barh(row, middle, color="tab:green" if result.holds else "tab:red", height=0.6)
        axes.plot([min(values), max(values)], [row, row], color="black", linewidth=1)
        for number, value in enumerate(_peers(result)):
            axes.plot(_share(result, value), row, marker="ox"[number % 2], color="tab:blue")
    axes.axvline(1.0, color="black", linestyle="--", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(results)), [result.name for result in results])
    axes.invert_yaxis()
    axes.set_xlabel("times the goal (1: reached; further left is better); blue: peers")
    figure.savefig(path)


def _values(result: Result | ReadingResult) -> Sequence[float]:
    if isinstance(result, Result):
        return [ours / peer for ours, peer in result.rounds]
    return result.rounds


def _peers(result: Result | ReadingResult) -> Sequence[float]:
    if isinstance(result, Result):
        return [1.0]
    return [peer.median for peer in result.peers.values()]


def _share(result: Result | ReadingResult, value: float) -> float:
    if not result.goal:
        # Of what may not happen at all: on the line, or far from it.
        return 10.0 if value else 1.0
    if isinstance(result, ReadingResult) and result.better is Better.HIGHER:
        return result.goal / value
    return value / result.goal
