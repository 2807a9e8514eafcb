"""The hosts themselves: they boot, install, reboot and end, and nothing of them is left behind."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from deploy.hosts import Hosts, HostsError
from deploy.hosts.layout import BRIDGE, DATA_DIR, host
from tests.farm.asking import eventually

_UP: Final = (
    "from deploy.hosts import Hosts; Hosts.up(['n1', 'n2']); print('up', flush=True); input()"
)


def test_a_host_is_a_debian_system_of_its_own() -> None:
    with Hosts.up(["n1", "n2"]) as hosts:
        assert hosts.ssh("n1", ["hostname"]).stdout == "n1\n"
        running = hosts.ssh("n1", ["systemctl", "is-system-running", "--wait"], check=False)
        assert running.stdout == "running\n"
        # What a node needs can be installed from the bridge, and nothing is on the Internet's way.
        hosts.ssh("n1", ["apt-get", "--quiet", "update"])
        hosts.ssh("n1", ["apt-get", "--quiet", "--yes", "install", "libpython3.11"])
        hosts.ssh("n1", ["touch", "/root/stays"])
        hosts.reboot("n1")
        hosts.ssh("n1", ["test", "-e", "/root/stays"])
        hosts.kill("n1")
        with pytest.raises(HostsError, match="n1"):
            hosts.ssh("n1", ["true"], timeout_s=2)
        hosts.ssh("n2", ["true"])
        hosts.start("n1")
        hosts.ssh("n1", ["test", "-e", "/root/stays"])
        assert hosts.ssh("n2", ["test", "-e", "/root/stays"], check=False).returncode == 1
    _check_nothing_is_left()


def test_hosts_of_a_run_that_was_killed_make_room_for_the_next() -> None:
    with _somebody_elses_hosts() as process:
        with pytest.raises(HostsError, match="hosts are up"):
            Hosts.up(["n1"])
        process.kill()
        process.wait()
    with Hosts.up(["n1"]) as hosts:
        assert hosts.names == ("n1",)
    _check_nothing_is_left()


def test_ctrl_c_leaves_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-m", "deploy.hosts", "up", "--hosts", "n1"])
    try:
        eventually(host("n1").console.exists, "n1 boots")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) != 0
    finally:
        process.kill()
        process.wait()
        Hosts.down()
    _check_nothing_is_left()


@contextmanager
def _somebody_elses_hosts() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", _UP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.kill()


def _check_nothing_is_left() -> None:
    assert not DATA_DIR.exists()
    assert not Path("/sys/class/net", BRIDGE).exists()
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    assert str(DATA_DIR) not in mounts
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert [each for each in commands if each.startswith(b"systemd-nspawn")] == []
    name = str(DATA_DIR).replace("/", "@")
    assert list(Path("/sys/fs/cgroup").glob(f"**/*{name}")) == []
