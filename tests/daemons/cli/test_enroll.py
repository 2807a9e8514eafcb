"""`sipfarm ca serve`, `ca token` and `node join`, on the operator's machine and on the node's."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from overlay.config import config as configuration
from overlay.identity import ca, identity
from tests.unit.cli.conftest import FARM, Cli


@contextmanager
def serve(directory: Path, *options: str, listen: str = "127.0.0.1") -> Iterator[str]:
    """The command as the operator runs it; yields where it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"{listen}:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "overlay.cli.main", "ca", "serve", "--ca", str(directory)]
    with subprocess.Popen(
        [*command, "--listen", where, *options], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            assert process.stderr.readline() == f"sipfarm: enrolling nodes at {where}\n"
            yield where
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            assert process.wait(10) == 0


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    ca.create(tmp_path / "ca", FARM)
    return tmp_path / "ca"


def token(cli: Cli, authority: Path, *options: str) -> str:
    done = cli.run("ca", "token", "--ca", str(authority), *options, config=False)
    assert done.code == 0, done.err
    return done.out.strip()


def test_from_token_to_identity(
    cli: Cli, authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[farm]\nname = "ignored.test"\n[overlay]\nport = 7999\n')
    home = tmp_path / "n4"
    run_dir = str(tmp_path / "run")
    join = ("--config", str(home / "farm.toml"), "node", "join", "--run-dir", run_dir)
    with serve(authority, "--settings", str(settings)):
        text = token(cli, authority, "--name", "n4", "--valid", "10m")
        done = cli.run(*join, "--token", text, "--json", config=False)
        told = json.loads(done.out)
        assert (done.code, told["node"], told["address"]) == (0, "n4", "127.0.0.1")
        assert not told["already"]
        again = cli.run(*join, "--token", text, config=False)
        assert (again.code, again.out.startswith("this is already node n4")) == (0, True)
        elsewhere = ("--config", str(tmp_path / "n5" / "farm.toml"), "node", "join")
        monkeypatch.setenv("SIPFARM_TOKEN", text)
        refused = cli.run(*elsewhere, config=False)
        assert (refused.code, "was used before" in refused.err) == (4, True)
        monkeypatch.setenv("SIPFARM_TOKEN", token(cli, authority, "--name", "n5"))
        assert cli.run(*elsewhere, config=False).code == 0
    config = configuration.load(home / "farm.toml")
    assert (config.overlay.port, config.node.run_dir) == (7999, run_dir)
    assert identity.load(config).node_id.hex() == told["node_id"]
    away = cli.run(*join, "--config", str(tmp_path / "n6.toml"), "--token", text, config=False)
    assert (away.code, "nothing is lost, try again" in away.err) == (3, True)


def test_what_is_no_token_is_refused(cli: Cli) -> None:
    done = cli.run("node", "join", "--token", "wonderland")
    assert (done.code, "not a token" in done.err) == (4, True)


def test_a_token_must_say_where_the_service_is(cli: Cli, authority: Path) -> None:
    command = ("ca", "token", "--ca", str(authority))
    done = cli.run(*command, config=False)
    assert (done.code, "where is the enrollment service?" in done.err) == (2, True)
    assert re.fullmatch(r"sipfarm1-\S+\n", cli.run(*command, "--service", "x", config=False).out)
    with serve(authority, listen="0.0.0.0"):
        done = cli.run(*command, config=False)
        assert (done.code, "tell nodes where with --service" in done.err) == (2, True)


@pytest.mark.parametrize("valid", ["0h", "1", "h", "-1h"])
def test_a_validity_that_is_none(cli: Cli, authority: Path, valid: str) -> None:
    done = cli.run("ca", "token", "--ca", str(authority), "--valid", valid, config=False)
    assert done.code == 2


def test_settings_that_no_node_could_use_stop_the_service(
    cli: Cli, authority: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[overlay]\nreplica = 3\n")
    command = ("ca", "serve", "--ca", str(authority), "--listen", "127.0.0.1")
    done = cli.run(*command, "--settings", str(settings), config=False)
    assert (done.code, "unknown field `replica`" in done.err) == (2, True)
