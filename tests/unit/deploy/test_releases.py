"""The list of releases: the file is whole, its commits are in the history and in the changelog."""

import subprocess
import tomllib
from pathlib import Path

import msgspec
import pytest

from deploy import releases

ROOT = releases.FILE.parent.parent


def test_every_release_is_a_commit_before_this_one_that_bears_its_version() -> None:
    for release in releases.load():
        subprocess.run(
            ["git", "merge-base", "--is-ancestor", release.commit, "HEAD"], cwd=ROOT, check=True
        )
        shown = subprocess.run(
            ["git", "show", f"{release.commit}:pyproject.toml"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        assert tomllib.loads(shown.stdout)["project"]["version"] == release.version


def test_the_changelog_tells_of_every_release_and_of_what_is_to_come() -> None:
    told = [
        line.split()[1].strip("[]")
        for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("## ")
    ]
    newest_first = [release.version for release in reversed(releases.load())]
    assert [version for version in told if version in newest_first] == newest_first
    current = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert told[0] in (current, "Unreleased")


@pytest.mark.parametrize(
    "text",
    [
        '[[release]]\nversion = "0.1"\ncommit = "' + "a" * 40 + '"\n',
        '[[release]]\nversion = "0.1.0"\ncommit = "abc"\n',
        "".join(
            f'[[release]]\nversion = "{v}"\ncommit = "{"a" * 40}"\n' for v in ("0.2.0", "0.1.0")
        ),
        "",
    ],
)
def test_a_file_that_names_no_releases_in_order_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "releases.toml"
    path.write_text(text)
    with pytest.raises(msgspec.ValidationError):
        releases.load(path)


def test_operators_come_to_a_version_from_the_release_before_it(tmp_path: Path) -> None:
    path = tmp_path / "releases.toml"
    path.write_text(
        "".join(
            f'[[release]]\nversion = "{v}"\ncommit = "{"a" * 40}"\n'
            for v in ("0.1.0", "0.2.0", "0.10.0")
        )
    )
    assert releases.before("0.2.0", path).version == "0.1.0"
    assert releases.before("0.10.1", path).version == "0.10.0"
    with pytest.raises(IndexError):
        releases.before("0.1.0", path)
