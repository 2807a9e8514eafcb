"""Runs a PostgreSQL for one test.

In: a folder that the database's user can enter. Out: a server on a Unix socket there, which a test
starts and stops as it likes. Counterparts: the tests of `overlay.billing.sinks.postgresql`; the
ledger of `tests/farm`.
"""

import os
import pwd
import subprocess
import time
from pathlib import Path

USER = "postgres"
READY_WITHIN_S = 20.0
_STOPPED_WITHIN_S = 20.0
_SIGINT = 2
"""Stops it at once, whoever is connected."""


class Cluster:
    """One server."""

    def __init__(self, folder: Path) -> None:
        (initdb,) = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))[-1:]
        self._programs = initdb.parent
        self._folder = folder
        self._as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        self.address = f"host={folder} user={USER} dbname=postgres"
        self._process: subprocess.Popen[bytes] | None = None
        for above in (folder, *folder.parents):
            if above.stat().st_uid == os.getuid() and str(above).startswith("/tmp/"):
                above.chmod(above.stat().st_mode | 0o055)
        account = pwd.getpwnam(USER)
        os.chown(folder, account.pw_uid, account.pw_gid)
        command = [*self._as_user, str(initdb), "-A", "trust", "-D", str(folder / "data")]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)

    def start(self) -> None:
        """Start it and wait until it answers."""
        data = str(self._folder / "data")
        options = ["-D", data, "-c", "listen_addresses="]
        options += ["-c", f"unix_socket_directories={self._folder}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user, str(self._programs / "postgres"), *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )
        until_s = time.monotonic() + READY_WITHIN_S
        while self.ask("SELECT 1") != "1":
            assert time.monotonic() < until_s, (self._folder / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it, whoever is connected."""
        if self._process is not None:
            self._process.send_signal(_SIGINT)
            self._process.wait(_STOPPED_WITHIN_S)
            self._process = None

    def ask(self, sql: str) -> str:
        """The answer to one query."""
        command = [str(self._programs / "psql"), "-XqAt", "-d", self.address, "-c", sql]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip()
