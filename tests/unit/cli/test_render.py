"""`sipfarm render` writes the files of a node's services."""

import json
import stat
from pathlib import Path

import pytest

from overlay.base.errors import IdentityError
from overlay.cli.main import main
from overlay.cli.render import write_files
from overlay.config.config import Config, dump, parse
from overlay.identity import files


@pytest.fixture
def config(tmp_path: Path) -> Config:
    secret = files.new_farm_secret()
    files.write_secret(tmp_path / files.FARM_SECRET, f"{secret}\n".encode())
    node = {"name": "n1", "address": "192.0.2.1", "run_dir": "/run/here"}
    data = {
        "farm": {"name": "farm.test"},
        "node": {**node, "identity_dir": str(tmp_path)},
        "dns": {"port": 5300},
    }
    return parse(data, "test")


def test_files_name_the_nodes_sockets_and_addresses(config: Config, tmp_path: Path) -> None:
    write_files(config, tmp_path / "out")
    redis = (tmp_path / "out" / "redis.conf").read_text().splitlines()
    assert "unixsocket /run/here/redis.sock" in redis
    assert "port 0" in redis
    pdns = (tmp_path / "out" / "pdns.conf").read_text().splitlines()
    assert "remote-connection-string=unix:path=/run/here/dns.sock,timeout=500" in pdns
    assert {"local-address=192.0.2.1", "local-port=5300"} <= set(pdns)
    assert {"cache-ttl=1", "query-cache-ttl=0", "negquery-cache-ttl=0"} <= set(pdns)
    assert "192.0.2.1" in (tmp_path / "out" / "kamailio.cfg").read_text()


def test_only_the_owner_reads_kamailios_keys(config: Config, tmp_path: Path) -> None:
    write_files(config, tmp_path / "out")
    mode = stat.S_IMODE((tmp_path / "out" / "kamailio.cfg").stat().st_mode)
    assert mode == 0o600
    for path in (tmp_path / "out").iterdir():
        assert (tmp_path / files.FARM_SECRET).read_text().strip() not in path.read_text()


def test_without_the_farms_secret_nothing_can_be_rendered(config: Config, tmp_path: Path) -> None:
    (tmp_path / files.FARM_SECRET).unlink()
    with pytest.raises(IdentityError, match=r"farm\.secret"):
        write_files(config, tmp_path / "out")


def test_command_names_what_it_wrote(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = tmp_path / "farm.toml"
    toml.write_text(dump(config))
    arguments = ["render", "--config", str(toml), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert sorted(Path(path).name for path in written) == [
        "hosts",
        "kamailio.cfg",
        "kamailio.env",
        "pdns.conf",
        "redis.conf",
        "resolv.conf",
    ]
    assert main(arguments) == 0
    assert capsys.readouterr().out.split() == written
