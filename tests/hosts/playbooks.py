"""Runs playbooks as an operator runs them, and reads their recap.

In: an inventory, a playbook, variables. Out: `Played`. Counterparts:
`ansible/playbooks`; `farm.py`.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ANSIBLE: Final = Path(__file__).resolve().parents[2] / "ansible"
DEBIANS: Final = Path("/usr/bin/ansible-playbook")
LATER: Final = Path(sys.executable).with_name("ansible-playbook")
"""The last ansible-core for Python 3.11."""
_RECAP: Final = re.compile(
    r"^(\S+)\s*: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE
)
_POLL_S: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Played:
    """What came of a playbook."""

    took_s: float
    status: int
    """The exit status; below zero the signal that ended it."""
    text: str

    @property
    def changed(self) -> dict[str, int]:
        """Tasks that changed something, by host."""
        return {host: int(changed) for host, changed, _, _ in _RECAP.findall(self.text)}

    @property
    def failed(self) -> tuple[str, ...]:
        """Hosts that a task failed on, or that could not be reached."""
        recap = _RECAP.findall(self.text)
        return tuple(host for host, _, away, failed in recap if int(away) + int(failed))


def play(
    playbook: str,
    inventory: Path,
    variables: Mapping[str, str],
    *,
    environment: Mapping[str, str],
    log: Path,
    timeout_s: float,
    until: Callable[[], bool] = lambda: False,
) -> Played:
    """Run a playbook of the checkout to its end, or kill it when a condition holds."""
    argv = ["ansible-playbook", "--inventory", str(inventory), f"playbooks/{playbook}.yml"]
    for name, value in variables.items():
        argv += ["--extra-vars", f"{name}={value}"]
    began_s = time.monotonic()
    with open(log, "w", encoding="utf-8") as output:
        running = subprocess.Popen(
            argv,
            cwd=_ANSIBLE,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
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
    return Played(
        took_s=time.monotonic() - began_s,
        status=running.returncode,
        text=log.read_text(encoding="utf-8"),
    )
