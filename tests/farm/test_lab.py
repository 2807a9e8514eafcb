"""The lab's commands do to real processes what they promise, and `down` leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from deploy.lab import Lab, LabError, layout, processes, services
from deploy.lab.layout import host
from deploy.lab.processes import ProcessState
from overlay.cli.main import main
from tests.farm.asking import PROGRAM, eventually, sipfarm

SERVICES = set(services.ALL)


def doing(lab: Lab, node: str) -> dict[str, ProcessState]:
    """What each service of a node does."""
    described = next(each for each in lab.describe().nodes if each.name == node)
    return {service.name: service.state for service in described.processes}


def reaches(lab: Lab, source: str, address: str, port: int) -> bool:
    """Whether a TCP connection can be made from a host of the lab."""
    program = f"import socket; socket.create_connection(('{address}', {port}), 1).close()"
    return lab.run_on(source, ["python3", "-c", program], timeout_s=10).returncode == 0


def lab_processes(hosts: list[str]) -> list[int]:
    return [pid for name in hosts for pid in processes.of_host(host(name))]


def assert_nothing_left() -> None:
    """No namespace, interface, file or process of a lab is there."""
    namespaces = subprocess.run(
        ["ip", "netns", "list"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"n1", "n2", "n3", "p1"} & set(namespaces)
    interfaces = {name for _, name in socket.if_nameindex()}
    assert layout.BRIDGE not in interfaces
    assert not [name for name in interfaces if name.startswith(layout.INTERFACE_PREFIX)]
    for path in (layout.STATE_DIR, layout.DATA_DIR, layout.NETNS_ETC_DIR / "n1"):
        assert not path.exists()
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    assert "sipfarm_lab" not in tables.stdout


def test_the_command_on_a_node_is_the_projects_and_knows_its_node(lab: Lab) -> None:
    for node in ("n1", "n3"):
        done = lab.run_on(node, ["sipfarm", "status", "--json"], timeout_s=20)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["nodes"][0]["name"] == node


def test_every_service_runs_and_is_described(lab: Lab) -> None:
    description = lab.describe()
    assert [node.address for node in description.nodes] == [
        "10.77.0.11",
        "10.77.0.12",
        "10.77.0.13",
    ]
    for node in description.nodes:
        assert {each.name for each in node.processes} == SERVICES
        assert all(each.state is ProcessState.RUNNING and each.pid for each in node.processes)
        for path in (node.control_socket, node.redis_socket, node.dns_socket):
            assert Path(path).is_socket()


def test_kill_freeze_thaw_stop_and_start(breakable_lab: Lab) -> None:
    lab = breakable_lab
    lab.freeze("n2", "redis")
    assert doing(lab, "n2")["redis"] is ProcessState.FROZEN
    assert doing(lab, "n2")["overlay"] is ProcessState.RUNNING
    lab.thaw("n2")
    lab.freeze("n2")
    assert set(doing(lab, "n2").values()) == {ProcessState.FROZEN}
    lab.thaw("n2")
    assert set(doing(lab, "n2").values()) == {ProcessState.RUNNING}
    lab.kill("n2", "kamailio")
    assert doing(lab, "n2")["kamailio"] is ProcessState.DEAD
    lab.stop("n2")
    assert set(doing(lab, "n2").values()) == {ProcessState.DEAD}
    assert not lab_processes(["n2"])
    lab.start("n2")
    lab.wait_ready(every_service=True)
    assert set(doing(lab, "n2").values()) == {ProcessState.RUNNING}


def test_what_does_not_run_is_not_said_to_be_ready(breakable_lab: Lab) -> None:
    lab, told = breakable_lab, list[str]()
    lab.kill("n2")
    lab.kill("n3", "pdns")
    lab.wait_ready(report=told.append)
    assert sorted(told) == [
        "n1 is ready at 10.77.0.11",
        "n2 is left out (dead: redis pdns overlay kamailio)",
        "n3 is ready at 10.77.0.13 (dead: pdns)",
    ]
    lab.freeze("n3")
    told.clear()
    lab.wait_ready(report=told.append)
    assert "n3 is left out (frozen: redis overlay kamailio; dead: pdns)" in told


def test_cut_and_heal(breakable_lab: Lab) -> None:
    lab = breakable_lab
    port = lab.config("n1").proxy.port
    lab.phone("p1")
    lab.cut(["n1", "p1"])
    assert not reaches(lab, "n2", "10.77.0.11", port)
    assert not reaches(lab, "n1", "10.77.0.12", port)
    assert reaches(lab, "p1", "10.77.0.11", port)
    assert reaches(lab, "n2", "10.77.0.13", port)
    socket.create_connection(("10.77.0.11", port), 1).close()
    lab.heal()
    assert reaches(lab, "n2", "10.77.0.11", port)


def test_exec_makes_phone_hosts_that_use_the_farms_dns(lab: Lab) -> None:
    done = sipfarm("lab", "exec", "p7", "--", "dig", "+short", "SRV", f"_sip._udp.{lab.farm}")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert sipfarm("lab", "exec", "n1", "--", "sh", "-c", "exit 7").returncode == 7


def test_errors_say_what_to_do(lab: Lab) -> None:
    for arguments, words in {
        ("kill", "n9"): "no node 'n9'",
        ("exec", "somewhere", "--", "true"): "no host of the lab",
        ("kill", "n1", "--process", "apache"): "no process 'apache'",
        ("cut", "n1,n8"): "no host n8",
        ("up", "--nodes", "1"): "sipfarm lab down",
        ("up", "--nodes", "0"): "one node or more",
        ("up", "--set", "nonsense"): "SECTION.KEY=VALUE",
    }.items():
        done = sipfarm("lab", *arguments)
        assert done.returncode != 0
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert set(doing(lab, "n1").values()) == {ProcessState.RUNNING}


def test_lab_of_one_node_by_command_and_nothing_left(no_lab: None) -> None:
    done = sipfarm("lab", "status")
    assert done.returncode != 0
    assert "no lab is up" in done.stderr
    done = sipfarm(
        "lab",
        "up",
        "--nodes",
        "1",
        "--json",
        "--set",
        "overlay.replicas=1",
        "--set",
        "overlay.write_quorum=1",
        "--set",
        "overlay.read_quorum=1",
    )
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout)
    assert [node["name"] for node in described["nodes"]] == ["n1"]
    pids = [pid for each in described["nodes"][0]["processes"] for pid in each["pids"]]
    assert sipfarm("lab", "exec", "p1", "--", "true").returncode == 0
    assert sipfarm("lab", "down").returncode == 0
    assert processes.state_of(pids) is ProcessState.DEAD
    assert_nothing_left()
    assert sipfarm("lab", "down").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_start_leaves_nothing(no_lab: None, number: signal.Signals) -> None:
    with subprocess.Popen([str(PROGRAM), "lab", "up", "--nodes", "2"]) as starting:
        eventually(lambda: bool(lab_processes(["n2"])), "n2 has a process")
        starting.send_signal(number)
        assert starting.wait(30) != 0
    assert_nothing_left()


def test_crashed_start_is_cleaned_by_down(no_lab: None) -> None:
    with subprocess.Popen([str(PROGRAM), "lab", "up", "--nodes", "2"]) as starting:
        eventually(lambda: bool(lab_processes(["n1"])), "n1 has a process")
        starting.kill()
    assert sipfarm("lab", "up", "--nodes", "1").returncode != 0
    assert sipfarm("lab", "down").returncode == 0
    assert_nothing_left()


def test_addresses_of_somebody_else_are_left_alone(no_lab: None) -> None:
    subprocess.run(["ip", "link", "add", "sfother", "type", "bridge"], check=True)
    try:
        for arguments in (
            ["address", "add", "10.77.0.200/25", "dev"],
            ["link", "set", "up", "dev"],
        ):
            subprocess.run(["ip", *arguments, "sfother"], check=True)
        with pytest.raises(LabError, match=r"in use: .* on sfother"):
            Lab.up(1)
    finally:
        subprocess.run(["ip", "link", "delete", "sfother"], check=True)
    assert_nothing_left()


def test_ordinary_users_are_told_to_use_sudo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["lab", "status"]) != 0
    assert "use sudo" in capsys.readouterr().err
