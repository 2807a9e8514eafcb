"""Starts `asker.py` for a job, and reads the times that it measured."""

import subprocess
import sys
from pathlib import Path

import msgspec
from bench.asker import Job, Times
from bench.processes import MeasureError

_FAILED_SHARE_MAX = 0.001


def ask(job: Job) -> Times:
    """Have everything asked; raises `MeasureError` when more than a thousandth was refused."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.asker"],
        input=msgspec.json.encode(job),
        capture_output=True,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    if done.returncode:
        raise MeasureError(f"asking {job.question}: {done.stderr.decode(errors='replace')[-2000:]}")
    times = msgspec.json.decode(done.stdout, type=Times)
    if times.failed > _FAILED_SHARE_MAX * job.count:
        raise MeasureError(f"{times.failed} of {job.count} refused: {job.question}")
    return times
