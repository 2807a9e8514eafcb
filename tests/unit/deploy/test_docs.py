"""The documents agree with the code, keep their bounds, and link to files that exist."""

import re
import sys
from pathlib import Path

import msgspec
import pytest

from deploy.docs.__main__ import DOCUMENTS, ROOT
from deploy.docs.declarations import sentences_of
from overlay.base import limits
from overlay.config import sections

README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
WRITTEN = [README, CONTRIBUTING, ARCHITECTURE, *sorted((ROOT / "docs").glob("*.md"))]
WORDS_MAX = {README: 900, CONTRIBUTING: 500, ARCHITECTURE: 1_200}
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_generated_document_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == DOCUMENTS[path](), (
        f"{path.name} is not what the code says: run .venv/bin/python -m deploy.docs"
    )


def test_every_setting_has_a_sentence_of_its_own() -> None:
    for name in sections.__all__:
        section = getattr(sections, name)
        sentences = sentences_of(sys.modules[section.__module__])
        for field in msgspec.structs.fields(section):
            if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
                continue
            text = sentences[section.__name__].get(field.name, "")
            assert _stands_alone(text), f"{section.__name__}.{field.name}: {text!r}"


def test_every_limit_has_a_sentence_of_its_own() -> None:
    sentences = sentences_of(limits)[""]
    for name in (name for name in vars(limits) if name.isupper()):
        assert _stands_alone(sentences.get(name, "")), name


@pytest.mark.parametrize("path", WORDS_MAX, ids=lambda path: path.name)
def test_what_is_read_first_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").split()) <= WORDS_MAX[path]


@pytest.mark.parametrize("path", [CONTRIBUTING, ARCHITECTURE], ids=lambda path: path.name)
def test_every_file_that_is_named_is_there(path: Path) -> None:
    named = set(re.findall(r"`([a-z_]+/[\w./]+)`", path.read_text(encoding="utf-8")))
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{path.name}: {link}"
        if anchor:
            headings = HEADING.findall(target.read_text(encoding="utf-8"))
            assert anchor in map(_anchor, headings), f"{path.name}: {link}"


def _stands_alone(text: str) -> bool:
    """It begins as a sentence does, or with the name of a quantity, and ends as one."""
    return bool(text) and text.endswith((".", ".)")) and not text.startswith(("and ", "or "))


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
