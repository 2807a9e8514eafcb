"""Which files a package is made from, and which date it bears."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from deploy.packaging import source
from deploy.packaging.errors import PackagingError
from deploy.packaging.source import Project
from deploy.packaging.version import PackageVersion

VERSION = PackageVersion.parse("7.0~rc1")
PROJECT = '[project]\nname = "x"\nversion = "0.1.0"\ndescription = "y"\n'


@pytest.fixture(autouse=True)
def _no_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    """A small project with what is and what is not source."""
    tree = tmp_path / "tree"
    for name, text in {
        "pyproject.toml": PROJECT,
        ".gitignore": "__pycache__/\ndist/\n.venv/\n",
        "a/b.py": "b",
        "a/__pycache__/b.pyc": "",
        "dist/old.deb": "",
        ".venv/bin/python": "",
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    for name, date in (("pyproject.toml", 1_000), ("a/b.py", 2_000)):
        os.utime(tree / name, (date, date))
    return tree


def _git(tree: Path, *arguments: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.net")
    date = {"GIT_COMMITTER_DATE": "@3000 +0000", "GIT_AUTHOR_DATE": "@3000 +0000"}
    subprocess.run(
        ["git", "-C", tree, *who, *arguments], check=True, capture_output=True,
        env={**os.environ, **date},
    )  # fmt: skip


def _copied(tree: Path, into: Path) -> list[str]:
    source.copy(tree, into, VERSION)
    return sorted(str(path.relative_to(into)) for path in into.rglob("*") if path.is_file())


def test_an_archive_is_taken_without_what_grew_in_it(tree: Path, tmp_path: Path) -> None:
    assert _copied(tree, tmp_path / "copy") == [".gitignore", "a/b.py", "pyproject.toml"]


def test_a_repository_gives_what_git_does_not_ignore(tree: Path, tmp_path: Path) -> None:
    _git(tree, "init")
    _git(tree, "add", ".")
    _git(tree, "commit", "-m", "x")
    (tree / "a/new.py").write_text("")
    (tree / "a/b.py").unlink()
    assert _copied(tree, tmp_path / "copy") == [".gitignore", "a/new.py", "pyproject.toml"]


def test_the_copy_has_the_version_and_the_tree_keeps_its_own(tree: Path, tmp_path: Path) -> None:
    _copied(tree, tmp_path / "copy")
    assert Project.read(tmp_path / "copy").version == "7.0rc1"
    assert Project.read(tree).version == "0.1.0"


def test_the_date_is_that_of_the_last_commit(tree: Path) -> None:
    assert source.date_of(tree) == 1_000
    _git(tree, "init")
    _git(tree, "add", ".")
    _git(tree, "commit", "-m", "x")
    assert source.date_of(tree) == 3_000


def test_a_given_date_goes_before_all(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "42")
    assert source.date_of(tree) == 42
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(PackagingError, match="seconds"):
        source.date_of(tree)


@pytest.mark.parametrize("text", ["", "[project]\n", "]", '[project]\nversion = "1"\n'])
def test_a_project_that_says_too_little_is_refused(tree: Path, text: str) -> None:
    (tree / "pyproject.toml").write_text(text)
    with pytest.raises(PackagingError, match=r"pyproject\.toml"):
        Project.read(tree)


def test_two_versions_in_the_project_are_refused(tree: Path, tmp_path: Path) -> None:
    (tree / "pyproject.toml").write_text(PROJECT + '[tool.other]\nversion = "3"\n')
    assert tomllib.loads((tree / "pyproject.toml").read_text())
    with pytest.raises(PackagingError, match="one line"):
        _copied(tree, tmp_path / "copy")
