"""Runs a PostgreSQL cluster for CDRs, made for the run with the settings that initdb gives: fsync
on.

In: a host, a folder. Out: a running cluster with the tables of `native_billing.sql`, reached over
its Unix socket.
"""

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.network import Host
from bench.processes import MeasureError, running, wait_for

_USER = "postgres"
_DATABASE = "postgres"
_TABLES = Path(__file__).parent / "native_billing.sql"
_READY_WITHIN_S = 15.0


class Postgres:
    """A running cluster; `folder` holds its socket."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self.folder = folder

    @property
    def url(self) -> str:
        """For Kamailio's db_postgres, which finds the socket by `environment`."""
        return f"postgres://{_USER}@/{_DATABASE}"

    @property
    def environment(self) -> dict[str, str]:
        """What libpq needs to find it: Kamailio's URL cannot name a socket's folder."""
        return {**os.environ, "PGHOST": str(self.folder), "PGUSER": _USER}

    def query(self, sql: str) -> str:
        """The answer to one query, unaligned; raises `MeasureError`."""
        command = [str(self._programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(
            [*command, "-d", _DATABASE, "-c", sql],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise MeasureError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            return self.query("SELECT 1") == "1"
        except MeasureError:
            return False


@contextmanager
def postgres(host: Host, work_dir: Path) -> Iterator[Postgres]:
    """A cluster with empty tables, until the end of the block."""
    programs = _programs()
    folder = work_dir / "postgres"
    folder.mkdir()
    account = pwd.getpwnam(_USER)
    os.chown(folder, account.pw_uid, account.pw_gid)
    data = folder / "data"
    as_user = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"]
    made = subprocess.run(
        [*as_user, str(programs / "initdb"), "-A", "trust", "-D", str(data)],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    if made.returncode:
        raise MeasureError(f"initdb: {made.stderr.strip()}")
    command = [
        *(*as_user, str(programs / "postgres"), "-D", str(data)),
        *("-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"),
    ]
    cluster = Postgres(programs, folder)
    with running(host.command(command), folder / "log"):
        wait_for("PostgreSQL answers", cluster.answers, _READY_WITHIN_S, folder / "log")
        cluster.query(_TABLES.read_text())
        yield cluster


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise MeasureError("PostgreSQL's server is missing: apt-get install postgresql")
    return found[-1].parent
