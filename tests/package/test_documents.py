"""The package's documents for people and programs: man pages, completions, licences, its parts."""

import json
import subprocess
from importlib.metadata import distributions
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.packaging.environment import site_packages
from deploy.packaging.manual import LEFT_OUT
from overlay.cli.main import VERBS

from .conftest import VERSION, Built

SHOWN_VERBS = sorted(set(VERBS) - LEFT_OUT)


@pytest.fixture(name="bom")
def _bom(built: Built) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(
        (built.files / "usr/share/doc/sipfarm/sbom.cdx.json").read_text()
    )
    return read


@pytest.mark.parametrize("page", ["man1/sipfarm.1.gz", "man8/sipfarm-overlay.8.gz"])
def test_man_pages_render_without_a_warning(built: Built, page: str) -> None:
    done = subprocess.run(
        ["man", "--warnings", "--local-file", built.files / "usr/share/man" / page],
        capture_output=True, text=True, check=True,
        env={"MANWIDTH": "90", "MANROFFSEQ": "", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stderr == ""
    assert f"sipfarm {VERSION.python}" in done.stdout
    wanted = ("NAME", "SYNOPSIS", "OPTIONS", "FILES", "SEE ALSO")
    if "man1" in page:
        wanted += ("EXAMPLES", "EXIT STATUS", *(f"   {verb}" for verb in SHOWN_VERBS))
    missing = [head for head in wanted if f"\n{head}" not in done.stdout]
    assert missing == []


def _completed(built: Built, *words: str) -> list[str]:
    script = built.files / "usr/share/bash-completion/completions/sipfarm"
    told = subprocess.run(
        [
            "bash", "-euc",
            'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_sipfarm;'
            'printf "%s\\n" "${COMPREPLY[@]}"',
            script, *words,
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return told.stdout.split()


def test_bash_completes_verbs_and_options(built: Built) -> None:
    assert sorted(_completed(built, "sipfarm", "")) == SHOWN_VERBS
    assert _completed(built, "sipfarm", "loca") == ["location"]
    assert "drain" in _completed(built, "sipfarm", "node", "d")
    assert "--since" in _completed(built, "sipfarm", "cdr", "list", "--s")


def test_zsh_knows_the_verbs(built: Built) -> None:
    script = (built.files / "usr/share/zsh/vendor-completions/_sipfarm").read_text()
    assert script.startswith("#compdef sipfarm\n")
    assert [verb for verb in SHOWN_VERBS if f"    {verb}:" not in script] == []


def test_the_list_of_parts_is_what_cyclonedx_says_it_is(bom: dict[str, Any]) -> None:
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom))
    assert fault is None


def test_the_list_of_parts_has_each_package_and_no_other(built: Built, bom: dict[str, Any]) -> None:
    packages = site_packages(built.files / "usr/lib/sipfarm")
    there = {
        (each.metadata["Name"].lower().replace("_", "-"), each.version)
        for each in distributions(path=[str(packages)])
    }
    listed = [(each["name"], each["version"]) for each in bom["components"]]
    itself = bom["metadata"]["component"]
    assert (itself["name"], itself["version"]) == ("sipfarm", VERSION.python)
    assert len(set(listed)) == len(listed)
    assert {*listed, ("sipfarm", VERSION.python)} == there


def test_it_is_known_why_each_part_is_there(bom: dict[str, Any]) -> None:
    needs = {each["ref"]: each["dependsOn"] for each in bom["dependencies"]}
    reached, ahead = set(), [bom["metadata"]["component"]["bom-ref"]]
    while ahead:
        each = ahead.pop()
        if each not in reached:
            reached.add(each)
            ahead += needs[each]
    assert reached == needs.keys()


def test_every_part_has_its_licence_with_it(built: Built, bom: dict[str, Any]) -> None:
    documents = built.files / "usr/share/doc/sipfarm"
    table = (documents / "copyright").read_text()
    for each in bom["components"]:
        texts = list((documents / "licences" / each["name"]).iterdir())
        assert [path for path in texts if path.stat().st_size < 100] == []
        assert f"licences/{each['name']}/" in table
        assert each["licenses"]
