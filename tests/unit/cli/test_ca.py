"""`sipfarm ca`, `sipfarm node` and `sipfarm check-config`: from nothing to an enrolled node."""

import json
from pathlib import Path

import pytest
from cryptography import x509

from overlay.config import config as configuration
from overlay.control.control_protocol import Done
from overlay.control.operator_messages import Leave, PutRevocations
from overlay.identity import identity, keys

from .conftest import FARM, Cli, PlayedDaemon


@pytest.fixture
def ca(cli: Cli) -> str:
    """The directory of a CA."""
    path = str(cli.directory / "ca")
    assert cli.run("ca", "init", "--ca", path, "--farm", FARM, config=False).code == 0
    return path


def test_issue_is_all_that_a_node_needs(cli: Cli, ca: str) -> None:
    into = str(cli.directory / "identity")
    done = cli.run("ca", "issue", "--ca", ca, "n1", "192.0.2.1", "--into", into, config=False)
    assert (done.code, done.out.startswith("made the identity of n1 in ")) == (0, True)
    assert identity.load(configuration.load(cli.config)).name == "n1"
    assert cli.run("check-config", "--identity").code == 0


def test_a_key_that_never_leaves_its_node(cli: Cli, ca: str, tmp_path: Path) -> None:
    csr, pem = str(tmp_path / "n1.csr"), str(tmp_path / "identity" / "node.pem")
    made = json.loads(cli.run("node", "key", "--out", csr, "--json").out)
    assert (made["made"], made["csr"]) == (True, csr)
    kept = json.loads(cli.run("node", "key", "--json").out)
    assert (kept["made"], kept["node_id"]) == (False, made["node_id"])
    done = cli.run("ca", "sign", "--ca", ca, csr, "--out", pem, config=False)
    assert (done.code, f"signed n1 at 192.0.2.1, id {made['node_id']}" in done.err) == (0, True)
    for name in ("ca.pem", "farm.secret", "operator.pem"):
        copied = tmp_path / "identity" / name
        copied.write_bytes((Path(ca) / name).read_bytes())
        copied.chmod(0o600)
    assert identity.load(configuration.load(cli.config)).node_id.hex() == made["node_id"]


def test_the_operator_has_the_last_word_on_names(cli: Cli, ca: str, tmp_path: Path) -> None:
    csr = str(tmp_path / "n1.csr")
    cli.run("node", "key", "--out", csr)
    names = ("--node", "n7", "--address", "2001:db8::7")
    done = cli.run("ca", "sign", "--ca", ca, csr, *names, "--json", config=False)
    told = json.loads(done.out)
    assert (told["node"], told["address"]) == ("n7", "2001:db8::7")
    signed = x509.load_pem_x509_certificate(told["certificate"].encode())
    assert keys.node_id(signed.public_key()).hex() == told["node_id"]


def test_the_ledger_is_listed(cli: Cli, ca: str) -> None:
    for number in (1, 2):
        name, address = f"n{number}", f"192.0.2.{number}"
        into = str(cli.directory / name)
        cli.run("ca", "issue", "--ca", ca, name, address, "--into", into, config=False)
    shown = cli.run("ca", "list", "--ca", ca, config=False).out.splitlines()
    assert [line.split()[0] for line in shown] == ["NODE", "n1", "n2"]
    assert "in force" in shown[1]
    told = json.loads(cli.run("ca", "list", "--ca", ca, "--json", config=False).out)
    assert [entry["address"] for entry in told["issued"]] == ["192.0.2.1", "192.0.2.2"]
    assert told["issued"][0]["expires_at"].endswith("+00:00")


def test_what_the_ca_refuses_is_4(cli: Cli, ca: str, tmp_path: Path) -> None:
    for argv in (
        ("init", "--ca", ca, "--farm", FARM),
        ("issue", "--ca", ca, "N1", "192.0.2.1", "--into", str(tmp_path / "x")),
        ("issue", "--ca", str(tmp_path / "none"), "n1", "192.0.2.1", "--into", str(tmp_path)),
        ("sign", "--ca", ca, str(tmp_path / "none.csr")),
        ("list", "--ca", str(tmp_path / "none")),
    ):
        done = cli.run("ca", *argv, config=False)
        assert (done.code, done.out) == (4, "")
        assert done.err.startswith("sipfarm: ")
        assert "Traceback" not in done.err
    assert not (tmp_path / "x").exists()


def test_a_name_is_replaced_only_on_request(cli: Cli, ca: str, tmp_path: Path) -> None:
    issue = ("ca", "issue", "--ca", ca, "n1", "192.0.2.1", "--into", str(tmp_path / "n1"))
    assert cli.run(*issue, config=False).code == 0
    assert cli.run(*issue, config=False).code == 4
    assert cli.run(*issue, "--replace", config=False).code == 0


def test_check_config_says_what_is_wrong(cli: Cli) -> None:
    assert cli.run("check-config").err.endswith("good; node n1 of farm.test\n")
    assert cli.run("check-config", "--identity").code == 4
    cli.config.write_text(cli.config.read_text().replace("write_quorum = 2", "write_quorum = 9"))
    done = cli.run("check-config")
    assert (done.code, "overlay.write_quorum" in done.err) == (2, True)
    done = cli.run("check-config", str(cli.directory / "none.toml"), config=False)
    assert done.code == 2


def test_check_config_tries_the_key_of_dynamic_updates(cli: Cli, ca: str) -> None:
    into = str(cli.directory / "identity")
    cli.run("ca", "issue", "--ca", ca, "n1", "192.0.2.1", "--into", into, config=False)
    key = cli.directory / "update.key"
    settings = f'server = "192.0.2.53"\nkey_file = "{key}"'
    text = cli.config.read_text()
    section = text[text.index("[dns_update]") :].partition("\n\n")[0]
    cli.config.write_text(text.replace(section, f"[dns_update]\n{settings}"))
    done = cli.run("check-config", "--identity")
    assert (done.code, str(key) in done.err) == (2, True)
    key.write_text("hmac-sha256:farm-update:c2VjcmV0\n")
    assert cli.run("check-config", "--identity").code == 0


def test_check_config_shows_every_default(cli: Cli) -> None:
    shown = cli.run("check-config", "--show").out
    again = cli.directory / "again.toml"
    again.write_text(shown)
    assert configuration.load(again) == configuration.load(cli.config)
    told = json.loads(cli.run("check-config", "--json").out)
    assert told["config"]["overlay"]["replicas"] == 3


def test_leaving_is_asked_for(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(Done(id=0, detail="leaving"), Done(id=0, detail="leaving"))
    assert cli.run("node", "leave").out == "leaving\n"
    assert json.loads(cli.run("node", "leave", "--json").out) == {"detail": "leaving"}
    assert [type(each) for each in played.asked] == [Leave, Leave]


def test_a_revoked_node_is_listed_and_the_farm_is_told(
    cli: Cli, ca: str, played: PlayedDaemon
) -> None:
    into = str(cli.directory / "identity")
    cli.run("ca", "issue", "--ca", ca, "n1", "192.0.2.1", "--into", into, config=False)
    done = cli.run("ca", "revoke", "--ca", ca, "n1", "--json", config=False)
    told = json.loads(done.out)
    assert (done.code, told["node"], told["revoked"]) == (0, "n1", 1)
    assert "revoked" in cli.run("ca", "list", "--ca", ca, config=False).out
    assert cli.run("ca", "revoke", "--ca", ca, "n9", config=False).code == 4
    played.answer(Done(id=0, detail="now in force"))
    done = cli.run("node", "revoke", "--list", told["list"])
    assert (done.code, done.out) == (0, "now in force\n")
    (asked,) = played.asked
    assert isinstance(asked, PutRevocations)
    assert asked.body == Path(told["list"]).read_bytes()
