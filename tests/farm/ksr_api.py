"""Asks a running node which functions the installed Kamailio exports to Python.

In: a lab. Out: the functions of KSR with their types, as `tests/unit/proxy/ksr_api.json` keeps them
for the fake of the unit tests. After an upgrade of Kamailio: `python -m tests.farm.ksr_api`.
"""

import json
import sys

from deploy.lab import Lab
from tests.farm.liveness import Watch
from tests.unit.proxy.ksr_api import PATH

EVERY_MODULE = {"media.relays": ["udp:127.0.0.1:2223"]}
"""What has a node load the modules that are not loaded otherwise."""


def exported(watch: Watch) -> dict[str, list[str]]:
    """By `module.function`: type of what is returned, then of each parameter."""
    found = {}
    for each in watch.ask("app_python.api_list")["methods"]:
        function = each["func"]
        name = f"{function['module']}.{function['name']}".removeprefix(".")
        parameters = [kind for kind in function["params"].split(", ") if kind != "none"]
        found[name] = [function["ret"], *parameters]
    return dict(sorted(found.items()))


def main() -> int:
    """Write the file."""
    lab = Lab.up(1, settings=EVERY_MODULE)
    try:
        lines = [
            f"{json.dumps(name)}: {json.dumps(types)}"
            for name, types in exported(Watch(lab, "n1", "p6")).items()
        ]
    finally:
        Lab.down()
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
