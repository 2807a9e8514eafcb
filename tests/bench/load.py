"""Makes load with sipp processes that register, call and are called. Their CPU counts for no side.

In: a host to send from, targets, users, a number and a rate. Out: sipp's own counts.
"""

import csv
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.network import Host
from bench.processes import MeasureError, running, tail_of, wait_for

SCENARIOS = Path(__file__).parent / "scenarios"
CALLEE_PORT = 6000
_CALLER_PORT = 6100
_FAILED_SHARE_MAX = 0.001
_COMPLAINT_CHARS = 2000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a number of calls or REGISTERs."""

    completed: int
    failed: int
    retransmissions: int
    complaint: str = ""
    """What sipp said of the first failures."""

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            completed=self.completed + other.completed,
            failed=self.failed + other.failed,
            retransmissions=self.retransmissions + other.retransmissions,
            complaint=self.complaint or other.complaint,
        )

    def check(self, what: str) -> None:
        """Raise `MeasureError` when too many failed for the figure to mean anything."""
        if self.failed > _FAILED_SHARE_MAX * (self.completed + self.failed) or not self.completed:
            raise MeasureError(
                f"{what}: {self.failed} failed, {self.completed} completed\n{self.complaint}"
            )


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What one sipp process sends: `scenario` to `target`, a line of `users` each."""

    scenario: str
    target: str
    """Address; port 5060."""
    users: Path
    """sipp's injection file."""
    count: int
    rate: float
    """New calls or REGISTERs a second."""
    keys: tuple[tuple[str, str], ...]
    """Values for the scenario's own keywords."""


def write_users(path: Path, rows: Sequence[tuple[str, ...]]) -> Path:
    """An injection file of these rows, used one after another, over and over."""
    path.write_text("SEQUENTIAL\n" + "".join(";".join(row) + "\n" for row in rows))
    return path


@contextmanager
def answering(host: Host, work_dir: Path) -> Iterator[None]:
    """A phone that answers every call on `CALLEE_PORT`, until the end of the block."""
    log = work_dir / f"callee-{host.namespace}.log"
    command = [
        *("sipp", "-sf", str(SCENARIOS / "callee.xml"), "-i", host.address),
        *("-p", str(CALLEE_PORT), "-nostdin", "-skip_rlimit", "-deadcall_wait", "0"),
    ]
    with running(host.command(command), log) as process:
        wait_for("the answering phone listens", lambda: _listens(host), 5, log)
        if process.poll() is not None:
            raise MeasureError(f"the answering phone ended\n{tail_of(log)}")
        yield


def send(host: Host, work_dir: Path, streams: Sequence[Stream]) -> Outcome:
    """Send all streams at once, each from a sipp of its own, and wait for their end."""
    numbered = list(enumerate(streams))
    processes = [_start(host, work_dir, stream, number) for number, stream in numbered]
    try:
        codes = [process.wait() for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    total = Outcome(completed=0, failed=0, retransmissions=0)
    for number, stream in numbered:
        # sipp ends with 1 when some calls failed: `Outcome.check` judges how many are too many.
        if codes[number] not in (0, 1):
            log = _log(work_dir, number)
            raise MeasureError(
                f"sipp to {stream.target} ended with {codes[number]}\n{tail_of(log)}"
            )
        total += _read_outcome(work_dir, number)
    return total


def _start(host: Host, work_dir: Path, stream: Stream, number: int) -> subprocess.Popen[bytes]:
    timeout_s = round(stream.count / stream.rate * 2 + 20)
    statistics, errors = _statistics(work_dir, number), _errors(work_dir, number)
    for left_over in (statistics, errors):
        left_over.unlink(missing_ok=True)
    command = [
        *("sipp", f"{stream.target}:5060", "-sf", str(SCENARIOS / f"{stream.scenario}.xml")),
        *("-i", host.address, "-p", str(_CALLER_PORT + number), "-inf", str(stream.users)),
        *("-m", str(stream.count), "-r", str(max(1, round(stream.rate)))),
        *("-timeout", f"{timeout_s}s", "-recv_timeout", "8000"),
        *("-nostdin", "-skip_rlimit", "-deadcall_wait", "0"),
        *("-trace_stat", "-stf", str(statistics), "-fd", "1000"),
        *("-trace_err", "-error_file", str(errors)),
    ]
    for key, value in stream.keys:
        command += ["-key", key, value]
    with _log(work_dir, number).open("wb") as output:
        return subprocess.Popen(
            host.command(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=work_dir,
        )


def _log(work_dir: Path, number: int) -> Path:
    return work_dir / f"sipp-{number}.log"


def _statistics(work_dir: Path, number: int) -> Path:
    return work_dir / f"sipp-{number}.csv"


def _errors(work_dir: Path, number: int) -> Path:
    return work_dir / f"sipp-{number}.errors"


def _read_outcome(work_dir: Path, number: int) -> Outcome:
    errors = _errors(work_dir, number)
    with _statistics(work_dir, number).open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    last = rows[-1]
    return Outcome(
        completed=int(last["SuccessfulCall(C)"]),
        failed=int(last["FailedCall(C)"]),
        retransmissions=int(last["Retransmissions(C)"]),
        complaint=errors.read_text(errors="replace")[:_COMPLAINT_CHARS] if errors.exists() else "",
    )


def _listens(host: Host) -> bool:
    command = host.command(["ss", "-Hnlu", f"sport = :{CALLEE_PORT}"])
    return bool(subprocess.run(command, capture_output=True, check=True).stdout)
