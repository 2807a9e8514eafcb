"""Reads lists that come in pages, from one cursor to the next.

In: a function that asks for one page, and `--limit`, `--cursor`, `--all`. Out: the pages, each with
the cursor that continues the list. Counterparts: `cdr.py`, `subscriber.py`.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from overlay.base.limits import PAGE_ROWS_MAX
from overlay.cli import output

PageRow = TypeVar("PageRow")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[PageRow]):
    """Some rows of a list."""

    rows: tuple[PageRow, ...]
    cursor: str
    """The cursor that continues the list; empty at its end."""
    silent: tuple[str, ...]
    """Nodes that are alive but did not answer."""


FetchPage = Callable[[str, int], Page[PageRow]]
"""A function that asks for the page at a cursor, with at most that many rows."""


def read(args: argparse.Namespace, fetch: FetchPage[PageRow]) -> Iterator[Page[PageRow]]:
    """One page of `--limit` rows, or, with `--all`, every page.

    The daemon's page may have fewer rows than asked for, even none, and still not be the last one.
    """
    if args.all:
        cursor = args.cursor
        while True:
            page = fetch(cursor, PAGE_ROWS_MAX)
            yield page
            if not page.cursor:
                return
            cursor = page.cursor
    yield _one(args.cursor, args.limit, fetch)


def _one(cursor: str, limit: int, fetch: FetchPage[PageRow]) -> Page[PageRow]:
    rows: list[PageRow] = []
    silent: dict[str, None] = {}
    while True:
        page = fetch(cursor, limit - len(rows))
        rows += page.rows
        silent.update(dict.fromkeys(page.silent))
        cursor = page.cursor
        if not cursor or len(rows) >= limit:
            return Page(rows=tuple(rows), cursor=cursor, silent=tuple(silent))


def show_json(name: str, page: Page[PageRow]) -> None:
    """Print a page as one object, with its rows under `name`."""
    output.show_json({name: page.rows, "cursor": page.cursor, "silent": page.silent})


def note_more(page: Page[PageRow]) -> None:
    """Tell how to continue the list, if it has more rows."""
    if page.cursor:
        output.note(f"there is more: --cursor {page.cursor}, or --all")
