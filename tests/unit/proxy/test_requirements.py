"""The tables of requirements and of threats in proxy/DESIGN.md name tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
DESIGN = TESTS.parent / "proxy" / "DESIGN.md"
_NAMED = re.compile(r"`([a-z_/]+\.py)(?:::([a-z_0-9]+))?`")


def _rows(heading: str = "## Requirement by requirement") -> list[str]:
    table = DESIGN.read_text().partition(heading)[2].partition("\n## ")[0]
    return [line for line in table.splitlines() if line.startswith("| ")][1:]


def test_every_test_that_is_named_exists() -> None:
    threats = [row.split("|")[4] for row in _rows("## Threat model")]
    named = [found for each in [*_rows(), *threats] for found in _NAMED.findall(each)]
    assert len(named) > 30
    for file, test in named:
        path = TESTS / file
        assert path.is_file(), file
        assert not test or re.search(rf"^def {test}\(", path.read_text(), re.M), f"{file}::{test}"


def test_what_names_no_test_says_that_it_is_not_done() -> None:
    for row in _rows():
        proof = row.split("|")[3]
        assert _NAMED.search(proof) or proof.strip().startswith("not done"), row


def test_every_threat_is_shown_to_be_met_by_a_test() -> None:
    rows = _rows("## Threat model")
    assert rows
    for row in rows:
        assert _NAMED.search(row.split("|")[4]), row


def test_every_attack_is_in_the_threat_model() -> None:
    text = "".join(_rows("## Threat model"))
    for file in (TESTS / "attacks").glob("test_*.py"):
        for test in re.findall(r"^def (test_\w+)\(", file.read_text(), re.M):
            assert f"`attacks/{file.name}::{test}`" in text, test
