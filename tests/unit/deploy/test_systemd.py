"""The units: systemd accepts them, their rights are as few as promised, the lab starts the same."""

import subprocess
from pathlib import Path

import pytest

from deploy.lab import layout, services, units
from overlay.config import config as configuration
from proxy.render import command_line_values

EXPOSURE_MAX = 30
"""In tenths, of `systemd-analyze security`."""
SERVICES = sorted(units.UNITS.glob("*.service"))
NODE = configuration.parse(
    {"farm": {"name": "farm.test"}, "node": {"name": "n1", "address": "10.77.0.11"}}, "test"
)


def _analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_there_is_a_unit_for_each_service_of_a_node() -> None:
    names = {path.stem.removeprefix("sipfarm-") for path in SERVICES}
    assert names == {*services.ALL, "render", "authority"}
    wants = (units.UNITS / "sipfarm.target").read_text().partition("Wants=")[2].splitlines()[0]
    assert set(wants.split()) == {f"sipfarm-{each}.service" for each in services.ALL}


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_a_unit_lets_its_service_do_no_more_than_it_needs(unit: Path) -> None:
    done = _analyze("security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", unit)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_systemd_understands_all_of_a_unit(unit: Path) -> None:
    done = _analyze("verify", unit)
    # Where the package is not installed, its programs and man pages are missing.
    problems = [
        line
        for line in done.stderr.splitlines()
        if not ("is not executable" in line and "/usr/bin/sipfarm" in line)
        and "Command 'man sipfarm" not in line
    ]
    assert not problems


def test_no_two_services_have_one_user() -> None:
    users = [
        line.partition("=")[2]
        for path in SERVICES
        if path.stem != "sipfarm-render"
        for line in path.read_text().splitlines()
        if line.startswith("User=")
    ]
    assert len(set(users)) == len(SERVICES) - 1
    declared = {
        line.split()[1]
        for line in (units.UNITS / "sipfarm.sysusers").read_text().splitlines()
        if line.startswith("u ")
    }
    assert set(users) == declared


def test_the_lab_starts_what_the_units_start() -> None:
    host = layout.host("n1")
    kamailio = units.command_line("kamailio", host, command_line_values(NODE))
    assert kamailio[:3] == ["kamailio", "-f", str(host.etc / "kamailio.cfg")]
    assert kamailio[kamailio.index("-x") + 1] == "fm"
    assert kamailio[kamailio.index("-m") + 1] == str(NODE.proxy.shared_memory_mib)
    assert units.command_line("redis", host, {})[:2] == [
        "redis-server",
        str(host.etc / "redis.conf"),
    ]
    assert units.command_line("pdns", host, {}) == ["pdns_server", f"--config-dir={host.etc}"]
