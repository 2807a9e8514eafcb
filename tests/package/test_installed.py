"""The installed package works, starts nothing, and leaves the operator's files alone."""

import os

import pytest

from overlay.cli.exits import Exit

from .conftest import ROOT, VERSION, Built
from .machine import Machine, machine

REDIS = "/etc/systemd/system/redis-server.service"
USERS = ("sipfarm", "sipfarm-redis", "sipfarm-pdns", "sipfarm-kamailio", "sipfarm-authority")


def test_both_commands_run(host: Machine) -> None:
    assert host.told("sipfarm", "--version") == f"sipfarm {VERSION.python}\n"
    assert "examples:" in host.told("sipfarm", "--help")
    assert host.told("sipfarm-overlay", "--help").startswith("usage: sipfarm-overlay")


def test_every_module_of_the_project_can_be_imported(host: Machine) -> None:
    """All but what is Kamailio's alone to import, and the lab."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "overlay").rglob("*.py"))
        if path.name != "lab.py"
    ]
    program = "import sys, importlib; [importlib.import_module(name) for name in sys.argv[1:]]"
    host.told("/usr/lib/sipfarm/bin/python3", "-I", "-c", program, *names)


def test_files_for_kamailio_name_what_is_installed(host: Machine) -> None:
    """Its embedded Python imports the script and all packages from the package's environment."""
    host.told("sipfarm", "ca", "init", "--ca", "/root/ca", "--farm", "sip.example.net")
    host.told("sipfarm", "ca", "issue", "--ca", "/root/ca", "n1", "127.0.0.1", "--into", "/root/n1")
    host.path("/root/farm.toml").write_text(
        '[farm]\nname = "sip.example.net"\n'
        '[node]\nname = "n1"\naddress = "127.0.0.1"\nidentity_dir = "/root/n1"\n'
    )
    host.told("sipfarm", "--config", "/root/farm.toml", "render", "--out", "/root/rendered")
    text = host.path("/root/rendered/kamailio.cfg").read_text()
    home = "/usr/lib/sipfarm/lib/python3.11/site-packages"
    assert f"{home}/proxy/main.py" in text
    done = host.run("kamailio", "-c", "-f", "/root/rendered/kamailio.cfg", "-Y", "/run")
    assert "config file ok" in done.stdout + done.stderr


def test_the_lab_is_said_to_be_elsewhere(host: Machine) -> None:
    done = host.run("sipfarm", "lab", "up")
    assert done.returncode == Exit.REFUSED
    assert "the project's source" in done.stderr
    assert "Traceback" not in done.stderr


def test_users_and_folders_are_there_and_nothing_is_enabled(host: Machine) -> None:
    known = host.path("/etc/passwd").read_text()
    assert [user for user in USERS if f"\n{user}:" not in known] == []
    state = host.path("/var/lib/sipfarm").stat()
    uid = int(host.told("id", "--user", "sipfarm"))
    assert (state.st_uid, state.st_mode & 0o7777) == (uid, 0o750)
    wanted = host.path("/etc/systemd/system").rglob("sipfarm*")
    assert [path for path in wanted if path.is_symlink()] == []


def test_needrestart_leaves_our_services_alone(host: Machine) -> None:
    program = """
        our %nrconf;
        do "/etc/needrestart/conf.d/sipfarm.conf"; die $@ if $@;
        my ($rule) = keys %{$nrconf{override_rc}};
        print "kept" if "sipfarm-kamailio.service" =~ /$rule/ && !$nrconf{override_rc}{$rule};
        print "other" if "cron.service" =~ /$rule/;
    """
    assert host.told("perl", "-e", program) == "kept"


@pytest.fixture(name="fresh")
def _fresh() -> object:
    """A machine without the package."""
    with machine() as made:
        made.path("/var/lib/man-db/auto-update").unlink(missing_ok=True)
        yield made


def test_from_before_the_first_installation_to_the_last_purge(fresh: Machine, built: Built) -> None:
    """Debian's services that come later may not start; those that are there are left alone; an
    upgrade changes nothing of that; a purge leaves what cannot be made anew."""
    fresh.dpkg("--purge", "redis-server")
    said = fresh.install(built.here)
    assert os.readlink(fresh.path(REDIS)) == "/dev/null"
    assert not fresh.path("/etc/systemd/system/kamailio.service").is_symlink()
    assert "systemctl disable --now kamailio.service" in said

    kept = fresh.path("/var/lib/sipfarm/calls.db")
    key = fresh.path("/etc/sipfarm/node.key")
    rendered = fresh.path("/etc/sipfarm/rendered/kamailio.cfg")
    for path in (kept, key, rendered):
        path.write_text("here\n")
    enabled = fresh.path("/etc/systemd/system/multi-user.target.wants/sipfarm.target")
    enabled.symlink_to("/lib/systemd/system/sipfarm.target")
    said = fresh.install(built.here)
    assert "disable --now" not in said
    assert rendered.exists()
    assert enabled.is_symlink()

    fresh.dpkg("--remove", "sipfarm")
    assert os.readlink(fresh.path(REDIS)) == "/dev/null"
    said = fresh.dpkg("--purge", "sipfarm")
    assert not os.path.lexists(fresh.path(REDIS))
    assert not rendered.exists()
    assert not os.path.lexists(enabled)
    assert (kept.read_text(), key.read_text()) == ("here\n", "here\n")
    for folder in ("/var/lib/sipfarm", "/etc/sipfarm"):
        assert f"left in place: {folder};" in said
    assert not fresh.path("/usr/lib/sipfarm").exists()
    assert not fresh.path("/etc/sipfarm-authority").exists()


def test_a_mask_of_the_operators_is_not_undone(fresh: Machine, built: Built) -> None:
    fresh.dpkg("--purge", "redis-server")
    fresh.path(REDIS).symlink_to("/dev/null")
    fresh.install(built.here)
    fresh.dpkg("--purge", "sipfarm")
    assert os.readlink(fresh.path(REDIS)) == "/dev/null"
