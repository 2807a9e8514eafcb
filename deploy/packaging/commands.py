"""Runs the programs that make a package.

In: a command. Out: its stdout, or an error with its complaint.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.packaging.errors import PackagingError


def run(command: Sequence[str | Path], cwd: Path | None = None, **environment: str) -> str:
    """Run a command to its end; returns its stdout. Raises `PackagingError` if it fails."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **environment},
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise PackagingError(f"failed: {' '.join(map(str, command))}\n{said}")
    return done.stdout
