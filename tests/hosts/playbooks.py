"""Runs playbooks as an operator runs them, and reads their recap.

In: an inventory, a playbook, variables. Out: `Played`. Counterparts:
`ansible/playbooks`; `farm.py`.
"""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_ANSIBLE: Final = Path(__file__).resolve().parents[2] / "ansible"
_LATER_CORE: Final = ("upgrade", "rollback", "remove_node")
"""Playbooks that the ansible-core of the virtual environment runs; Debian's runs the others."""
_RECAP: Final = re.compile(
    r"^(\S+)\s*: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE
)
_POLL_S: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Played:
    """What came of a playbook."""

    playbook: str
    took_s: float
    status: int
    """The exit status; below zero the signal that ended it."""
    text: str
    changed: dict[str, int] = field(default_factory=dict)
    """Tasks that changed something, by host."""
    failed: tuple[str, ...] = ()
    """Hosts that a task failed on, or that could not be reached."""


def play(
    playbook: str,
    inventory: Path,
    variables: Mapping[str, str],
    *,
    log: Path,
    timeout_s: float,
    until: Callable[[], bool] = lambda: False,
) -> Played:
    """Run a playbook to its end, or kill it when a condition holds."""
    later = Path(sys.executable).with_name("ansible-playbook")
    program = str(later) if playbook in _LATER_CORE else "/usr/bin/ansible-playbook"
    argv = [program, "--inventory", str(inventory), f"playbooks/{playbook}.yml"]
    for name, value in variables.items():
        argv += ["--extra-vars", f"{name}={value}"]
    began_s = time.monotonic()
    with open(log, "w", encoding="utf-8") as output:
        running = subprocess.Popen(
            argv, cwd=_ANSIBLE, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while running.poll() is None:
                if until():
                    running.send_signal(signal.SIGKILL)
                    running.wait()
                    break
                assert time.monotonic() - began_s < timeout_s, (
                    f"{playbook}: no end after {timeout_s:.0f} s:\n{log.read_text()[-3000:]}"
                )
                time.sleep(_POLL_S)
        finally:
            running.kill()
            running.wait()
    text = log.read_text(encoding="utf-8")
    recap = _RECAP.findall(text)
    return Played(
        playbook=playbook,
        took_s=time.monotonic() - began_s,
        status=running.returncode,
        text=text,
        changed={host: int(changed) for host, changed, _, _ in recap},
        failed=tuple(host for host, _, away, failed in recap if int(away) + int(failed)),
    )
