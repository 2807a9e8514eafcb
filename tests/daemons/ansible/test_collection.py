"""The Ansible collection as a whole, as far as it can be checked without a host."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.unit.ansible.scripts import COLLECTION

ROOT: Final = COLLECTION.parent
PLAYBOOKS: Final = sorted(path.name for path in (COLLECTION / "playbooks").glob("*.yml"))
ROLES: Final = sorted(path.name for path in (COLLECTION / "roles").iterdir())
VIRTUAL: Final = Path(sys.executable).parent
ANSIBLES: Final = ("/usr/bin/ansible-playbook", str(VIRTUAL / "ansible-playbook"))
"""Debian's, and the last one for Python 3.11."""
SHARED: Final = {"farm_name", "farm_settings"}
"""What several roles read; the inventory has it, and no role."""


def _run(*argv: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    path = f"{VIRTUAL}:/usr/bin:/bin"
    environment = {"PATH": path, "HOME": str(Path.home()), "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def _loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_linter_has_nothing_to_say() -> None:
    done = _run("ansible-lint", "--offline", "--nocolor", "--profile", "production", "ansible/")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("ansible", ANSIBLES)
def test_every_playbook_is_understood(ansible: str) -> None:
    assert shutil.which(ansible), f"{ansible} is missing; run deploy/install"
    inventory = ("--inventory", "inventory/example.yml")
    for playbook in PLAYBOOKS:
        path = f"playbooks/{playbook}"
        done = _run(ansible, *inventory, "--syntax-check", path, cwd=COLLECTION)
        assert done.returncode == 0, f"{playbook}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("ansible", ANSIBLES)
def test_an_inventory_without_nodes_is_refused(ansible: str, tmp_path: Path) -> None:
    path = tmp_path / "empty.yml"
    path.write_text("sipfarm_nodes: {hosts: {}}\n", encoding="ascii")
    done = _run(ansible, "--inventory", str(path), "playbooks/site.yml", cwd=COLLECTION)
    assert done.returncode != 0
    assert "no host in the group sipfarm_nodes" in done.stdout + done.stderr


@pytest.mark.parametrize("role", ROLES)
def test_every_default_has_a_specification(role: str) -> None:
    directory = COLLECTION / "roles" / role
    specified = _loaded(directory / "meta/argument_specs.yml")["argument_specs"]
    options = specified["main"]["options"]
    for name, value in _loaded(directory / "defaults/main.yml").items():
        assert name.startswith(f"{role}_"), name
        assert options[name]["description"].endswith("."), name
        assert "type" in options[name], name
        if not (isinstance(value, str) and "{{" in value):
            assert options[name].get("default") == value, name
    for name in options:
        assert name in SHARED or name.startswith(f"{role}_"), name


def test_the_versions_are_the_projects() -> None:
    galaxy = _loaded(COLLECTION / "galaxy.yml")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert galaxy["dependencies"] == {}
    assert f'version = "{galaxy["version"]}"' in project
