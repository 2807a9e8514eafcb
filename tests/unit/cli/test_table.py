"""Tables are aligned, and safe to print on a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.cli import table


def test_columns_are_aligned_numbers_to_the_right() -> None:
    shown = table.render(("NAME", "N", "TEXT"), [("a", 5, "x"), ("long name", 123, None)])
    assert shown.splitlines() == [
        "NAME         N  TEXT",
        "a            5  x",
        "long name  123  -",
    ]


def test_without_rows_there_is_the_header() -> None:
    assert table.render(("A", "B"), []) == "A  B"
    assert table.details([]) == ""


def test_details_are_a_line_each() -> None:
    assert table.details([("a", 1.25), ("bcd", "")]) == "a    1.2\nbcd  -"


def test_wide_characters_take_two_columns() -> None:
    assert table.render(("A", "B"), [("日本", "x"), ("é", "y")]).splitlines() == [
        "A     B",
        "日本  x",
        "é     y",
    ]


def test_rows_must_fit_the_header() -> None:
    with pytest.raises(ValueError, match="zip"):
        table.render(("A", "B"), [("x",)])


def test_terminals_are_not_obeyed() -> None:
    assert table.printable("\x1b[2Jalice\r\n\x9b") == r"\x1b[2Jalice\r\n\x9b"
    assert table.printable("\u202ealice") == r"\u202ealice"


@given(st.lists(st.tuples(st.text(), st.text())))
def test_a_row_is_a_line_whatever_is_in_it(rows: list[tuple[str, str]]) -> None:
    lines = table.render(("A", "B"), rows).split("\n")
    assert len(lines) == len(rows) + 1
    assert all(line.isprintable() for line in lines)
