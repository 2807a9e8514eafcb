"""Shows how a cost grows with something else: as JSON for programs, as a drawing for people.

In: `Curve`s. Out: `scale.jsonl` and `scale.svg` in the folder of results, a few lines of text.
Counterpart: `scale.py`, which measures them.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from bench.report import Machine

_COLUMNS = 2
_PANEL_INCHES = (5.6, 3.4)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One side's."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One panel."""

    title: str
    x: str
    y: str
    """What the axes are, with units."""
    lines: tuple[Line, ...]
    logarithmic: bool = False
    """The x axis."""


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    curve: Curve
    machine: Machine
    versions: dict[str, str]


def keep(
    folder: Path, curves: Sequence[Curve], machine: Machine, versions: dict[str, str]
) -> list[str]:
    """Write the files and return the lines of JSON; raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = [
        _Kept(name="SCALE", curve=curve, machine=machine, versions=versions) for curve in curves
    ]
    lines = [msgspec.json.encode(each).decode() for each in kept]
    (folder / "scale.jsonl").write_text("\n".join(lines) + "\n")
    _draw(folder / "scale.svg", curves)
    return lines


def as_text(curve: Curve) -> str:
    """A row a point."""
    names = [line.name for line in curve.lines]
    rows = [f"SCALE {curve.title} ({curve.y}) by {curve.x}: {', '.join(names)}"]
    for number, x in enumerate(curve.lines[0].x):
        values = "".join(f"{line.y[number]:12.4g}" for line in curve.lines)
        rows.append(f"    {x:10g}{values}")
    return "\n".join(rows)


def _draw(path: Path, curves: Sequence[Curve]) -> None:
    # It takes a second to load, which only who measures should wait for.
    from matplotlib.figure import Figure

    rows = -(-len(curves) // _COLUMNS)
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(_COLUMNS * width, rows * height), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
    for axes, curve in zip(panels, curves, strict=False):
        for line in curve.lines:
            axes.plot(line.x, line.y, marker="o", label=line.name)
        axes.set_title(curve.title, fontsize=10)
        axes.set_xlabel(curve.x)
        axes.set_ylabel(curve.y)
        axes.set_ylim(0, 1.1 * max(y for line in curve.lines for y in line.y))
        axes.grid(visible=True, alpha=0.3)
        if curve.logarithmic:
            axes.set_xscale("log")
        else:
            axes.set_xticks(curve.lines[0].x, [f"{x:g}" for x in curve.lines[0].x], fontsize=8)
        axes.legend(fontsize=8)
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    figure.savefig(path)
