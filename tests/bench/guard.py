"""Finds figures that have become worse than they were.

In: results, and the ratios recorded in `recorded.toml`. Out: complaints. Counterpart: `main.py`,
with `--guard`. Only ratios are compared: machines differ, and their peers with them.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from bench.report import ReadingResult, Result

FILE = Path(__file__).with_name("recorded.toml")


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says."""

    date: str
    machine: str
    margin: float
    """How many times its recorded value a ratio may be."""
    ratios: dict[str, float]


def recorded(path: Path = FILE) -> Recorded:
    """The file; raises `OSError` or `ValueError`."""
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Recorded)


def complaints(results: Sequence[Result | ReadingResult], before: Recorded) -> list[str]:
    """A line for each ratio that is too much worse; one that was never recorded has no bound."""
    found = []
    for result in results:
        was = before.ratios.get(result.name)
        if isinstance(result, Result) and was and result.value > was * before.margin:
            found.append(
                f"{result.name}: {result.value:.2f} times the peer's, more than {before.margin:g}"
                f" times the {was:.2f} of {before.date} ({before.machine})"
            )
    return found
