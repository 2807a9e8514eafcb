"""Starts and stops the processes of the peers and of the load, and waits for conditions.

In: command lines. Out: running processes that end with their `with` block; their logs, when
something goes wrong.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_STOP_WITHIN_S = 5.0
_LOG_TAIL_CHARS = 2000


class MeasureError(Exception):
    """The benchmark could not measure; the text says what to mend."""


@contextmanager
def running(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The process, until the end of the block; its output goes to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env=environment,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(
    what: str, condition: Callable[[], bool], within_s: float, log: Path | None = None
) -> None:
    """Return once `condition` holds; raises `MeasureError`, with the log's end, if it does not."""
    until_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until_s:
            tail = f"\n{tail_of(log)}" if log is not None else ""
            raise MeasureError(f"after {within_s:g} s still waiting until {what}{tail}")
        time.sleep(0.05)


def tail_of(log: Path) -> str:
    """The end of a log."""
    return log.read_text(errors="replace")[-_LOG_TAIL_CHARS:] if log.exists() else ""
