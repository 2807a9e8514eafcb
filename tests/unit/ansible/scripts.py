"""Loads the scripts of the role `preflight`, which Ansible runs and no module imports.

In: a script's name. Out: the module. Counterpart: `ansible/roles/preflight/files`.
"""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Final

COLLECTION: Final = Path(__file__).resolve().parents[3] / "ansible"


def script(name: str) -> ModuleType:
    """The module that the script is."""
    path = COLLECTION / "roles/preflight/files" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"preflight_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
