"""Takes the command lines of services from the units that operators run.

In: a unit of `deploy/systemd/`, and the paths of a host of the lab. Out: the unit's command line
with these paths. Counterpart: `services.py`. So a service of the lab runs with the same options as
in a real farm.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.lab.layout import Host

UNITS: Final = Path(__file__).resolve().parent.parent / "systemd"
_START: Final = re.compile(r"^ExecStart=(.+)$", re.MULTILINE)


def command_line(unit: str, host: Host, values: Mapping[str, object]) -> list[str]:
    """The command line of the unit `sipfarm-UNIT.service`. `values` stand for the variables of the
    unit's environment."""
    found = _START.findall((UNITS / f"sipfarm-{unit}.service").read_text(encoding="utf-8"))
    assert len(found) == 1, f"{unit}: {len(found)} ExecStart"
    places = {
        "${CREDENTIALS_DIRECTORY}": str(host.etc),
        "/etc/sipfarm/rendered": str(host.etc),
        "/run/sipfarm": str(host.run),
        **{f"${{{name}}}": str(value) for name, value in values.items()},
    }
    # One pattern replaces all paths at once, the longest first, as a path of the lab may contain
    # one that a real node has.
    either = "|".join(re.escape(place) for place in sorted(places, key=len, reverse=True))
    text = re.sub(either, lambda place: shlex.quote(places[place[0]]), found[0])
    program, *options = shlex.split(text)
    return [Path(program).name, *options]
