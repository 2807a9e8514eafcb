"""Tables for people: aligned columns, safe to show on a terminal.

In: rows of text and numbers. Out: lines. Text from the network may contain control characters,
which a terminal would obey, so they are shown escaped.
"""

import unicodedata
from collections.abc import Iterable, Sequence

Cell = str | int | float | None

_GAP = "  "
_NOTHING = "-"


def render(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """The table, with a header line first. Numbers are aligned to the right, everything else to the
    left.

    Raises `ValueError` if a row has another length than the header.
    """
    taken = [list(row) for row in rows]
    cells = [list(header), *([_text(cell) for cell in row] for row in taken)]
    columns = list(zip(*cells, strict=True))
    widths = [max(_width(text) for text in column) for column in columns]
    numeric = [
        bool(taken) and all(isinstance(row[index], int | float) for row in taken)
        for index in range(len(header))
    ]
    lines = (
        _GAP.join(
            _pad(text, width, right=right)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    )
    return "\n".join(lines)


def line(row: Sequence[Cell]) -> str:
    """One row without a table around it."""
    return _GAP.join(map(_text, row))


def details(pairs: Iterable[tuple[str, Cell]]) -> str:
    """The properties of one thing, a line each, with aligned values."""
    taken = [(name, _text(value)) for name, value in pairs]
    width = max((len(name) for name, _ in taken), default=0)
    return "\n".join(f"{name:<{width}}{_GAP}{value}" for name, value in taken)


def printable(text: str) -> str:
    """The text, with every character escaped that a terminal could obey or could not show."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _text(cell: Cell) -> str:
    if cell is None or cell == "":
        return _NOTHING
    if isinstance(cell, float):
        return f"{cell:.1f}"
    return printable(str(cell))


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _pad(text: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - _width(text))
    return blanks + text if right else text + blanks
