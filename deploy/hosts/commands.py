"""Runs commands to their end, and waits for conditions with a deadline.

In: command lines, conditions. Out: the command's output, or a `HostsError` with its complaint.
Counterparts: the other files of this folder.
"""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from deploy.hosts.layout import HostsError

_COMPLAINT_LINES = 15
_POLL_S = 0.02


def command(
    argv: Sequence[str],
    *,
    timeout_s: float = 30.0,
    given: str = "",
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run a command and return its stdout; raises `HostsError` with the end of its stderr."""
    try:
        done = subprocess.run(
            argv,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            env={**os.environ, **(variables or {})},
        )
    except FileNotFoundError as error:
        raise HostsError(f"{argv[0]} is not installed; run deploy/install") from error
    except subprocess.TimeoutExpired as error:
        raise HostsError(f"{' '.join(argv)}: no end after {timeout_s:.0f} s") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-_COMPLAINT_LINES:]
        reason = "\n".join(said) or f"exit status {done.returncode}"
        raise HostsError(f"{' '.join(argv)}: {reason}")
    return done.stdout


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float) -> float:
    """Wait until the condition holds; returns how many s that took. Raises `HostsError`, which
    names `what` was waited for, after `timeout_s`."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > timeout_s:
            raise HostsError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(_POLL_S)
    return time.monotonic() - began_s
