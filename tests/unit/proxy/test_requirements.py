"""The table of requirements in proxy/DESIGN.md names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
DESIGN = TESTS.parent / "proxy" / "DESIGN.md"
_NAMED = re.compile(r"`([a-z_/]+\.py)(?:::([a-z_0-9]+))?`")


def _rows() -> list[str]:
    table = DESIGN.read_text().partition("## Requirement by requirement")[2].partition("\n## ")[0]
    return [line for line in table.splitlines() if line.startswith("| ")][1:]


def test_every_test_that_is_named_exists() -> None:
    named = [found for row in _rows() for found in _NAMED.findall(row.rpartition("|")[0])]
    assert len(named) > 30
    for file, test in named:
        path = TESTS / file
        assert path.is_file(), file
        assert not test or re.search(rf"^def {test}\(", path.read_text(), re.M), f"{file}::{test}"


def test_what_names_no_test_says_that_it_is_not_done() -> None:
    for row in _rows():
        proof = row.split("|")[3]
        assert _NAMED.search(proof) or proof.strip().startswith("not done"), row
