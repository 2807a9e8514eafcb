"""Billing records in a real PostgreSQL."""

import asyncio
import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from overlay.billing.sinks.postgresql import PostgresqlSink
from overlay.billing.sinks.sink import SinkError

from .rows import row

USER = "postgres"
READY_WITHIN_S = 20.0


class Cluster:
    """A PostgreSQL of the test's own, on a Unix socket."""

    def __init__(self, folder: Path) -> None:
        (initdb,) = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))[-1:]
        self._programs = initdb.parent
        self._folder = folder
        self._as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        self.address = f"host={folder} user={USER} dbname=postgres"
        self._process: subprocess.Popen[bytes] | None = None
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
            self._process.send_signal(2)
            self._process.wait(20)
            self._process = None

    def ask(self, sql: str) -> str:
        """The answer to one query."""
        command = [str(self._programs / "psql"), "-XqAt", "-d", self.address, "-c", sql]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip()


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster, until the end of the test."""
    folder = tmp_path_factory.mktemp("pg")
    for above in (folder, *folder.parents):
        if above.stat().st_uid == os.getuid() and str(above).startswith("/tmp/"):
            above.chmod(above.stat().st_mode | 0o055)
    cluster = Cluster(folder)
    cluster.start()
    yield cluster
    cluster.stop()


def test_rows_come_once_however_often_they_are_sent(cluster: Cluster) -> None:
    async def story() -> None:
        one, two = (PostgresqlSink(cluster.address, "cdr") for _ in range(2))
        await asyncio.gather(one.take([row(1), row(2)]), two.take([row(2), row(3)]))
        await one.take([row(1), row(1, revision=3, caller="sip:carol@farm.test")])
        await two.take([row(1, revision=2)])
        await one.close()
        await two.close()

    asyncio.run(story())
    assert cluster.ask("SELECT count(*) FROM cdr") == "3"
    assert cluster.ask("SELECT revision, caller FROM cdr WHERE callid = 'call-1'") == (
        "3|sip:carol@farm.test"
    )
    assert cluster.ask(
        "SELECT extract(epoch FROM end_time - start_time), duration FROM cdr LIMIT 1"
    ) == ("61.000000|61.000")


def test_a_database_that_was_away_is_found_again(cluster: Cluster) -> None:
    async def story() -> None:
        sink = PostgresqlSink(cluster.address, "cdr")
        await sink.take([row(1)])
        cluster.stop()
        with pytest.raises(SinkError):
            await sink.take([row(2)])
        cluster.start()
        await sink.take([row(2)])
        await sink.close()

    asyncio.run(story())
    assert cluster.ask("SELECT count(*) FROM cdr") == "2"


def test_a_table_of_an_earlier_version_gets_what_it_lacks(cluster: Cluster) -> None:
    async def story() -> None:
        sink = PostgresqlSink(cluster.address, "billing.calls")
        await sink.take([row(1)])
        await sink.close()

    cluster.ask("CREATE SCHEMA billing")
    asyncio.run(story())
    cluster.ask("ALTER TABLE billing.calls DROP COLUMN hangup")
    asyncio.run(story())
    assert cluster.ask("SELECT hangup FROM billing.calls") == "caller"


def test_hostile_text_is_only_text(cluster: Cluster) -> None:
    hostile = "'); DROP TABLE cdr; --"

    async def story() -> None:
        sink = PostgresqlSink(cluster.address, "cdr")
        await sink.take([row(1, caller=hostile)])
        await sink.close()

    asyncio.run(story())
    assert cluster.ask("SELECT caller FROM cdr") == hostile


def test_nobody_there() -> None:
    async def story() -> None:
        sink = PostgresqlSink("host=/nonexistent user=nobody password=secret", "cdr")
        with pytest.raises(SinkError) as caught:
            await sink.take([row(1)])
        assert "secret" not in str(caught.value)

    asyncio.run(story())
