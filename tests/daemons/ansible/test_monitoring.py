"""The role `monitoring`, played on this machine into a directory, by both versions of Ansible."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.unit.ansible.scripts import COLLECTION

ANSIBLES: Final = (
    "/usr/bin/ansible-playbook",
    str(Path(sys.executable).with_name("ansible-playbook")),
)
PROMETHEUS: Final = """\
global:
  scrape_interval: 30s

rule_files:
  - first.yml

scrape_configs:
  - job_name: prometheus
    static_configs:
      - targets: ['localhost:9090']
"""
RULES: Final = """\
groups:
  - name: sipfarm
    rules:
      - record: sipfarm:up
        expr: sum(up)
"""
PLAYBOOK: Final = """\
- hosts: sipfarm_monitoring
  gather_facts: false
  roles: [monitoring]
"""


NODES: Final[tuple[dict[str, object], ...]] = (
    {"address": "10.99.1.11"},
    {"address": "2001:db8::12", "port": 9465},
    {"address": "10.99.1.13"},
    {"address": "10.99.1.14"},
)
"""Their settings of [metrics]."""


class Monitoring:
    """A monitoring host: a directory."""

    def __init__(self, directory: Path, ansible: str) -> None:
        self.directory = directory
        self._ansible = ansible
        self.prometheus = directory / "prometheus.yml"
        self.prometheus.write_text(PROMETHEUS)
        (directory / "first.yml").write_text(RULES)
        self.rules = directory / "rules.yml"
        self.rules.write_text(RULES)
        (directory / "play.yml").write_text(PLAYBOOK)
        # What the playbooks know of nodes.
        (directory / "group_vars").symlink_to(COLLECTION / "playbooks/group_vars")

    def play(self, *metrics: dict[str, object]) -> "subprocess.CompletedProcess[str]":
        """Play the role for a farm whose nodes have these settings of [metrics]."""
        nodes = {
            f"n{number}": {
                "ansible_host": f"10.99.0.1{number}",
                "node_settings": {"metrics": settings},
            }
            for number, settings in enumerate(metrics, 1)
        }
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "/usr/bin/python3",
            "monitoring_prometheus_file": str(self.prometheus),
            "monitoring_prometheus_unit": "",
            "monitoring_rules_file": str(self.rules),
            "monitoring_rules_directory": str(self.directory / "rules"),
            "monitoring_grafana_source": str(COLLECTION.parent / "grafana"),
            "monitoring_grafana_directory": str(self.directory / "provisioning"),
            "monitoring_grafana_prometheus_url": "http://mon:9090",
            "monitoring_grafana_unit": "",
        }
        farm = {"sipfarm_nodes": {"hosts": nodes}, "sipfarm_monitoring": {"hosts": {"mon": host}}}
        inventory = self.directory / "inventory.json"
        inventory.write_text(json.dumps(farm))
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(Path.home()),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_ROLES_PATH": str(COLLECTION / "roles"),
        }
        return subprocess.run(
            [self._ansible, "--inventory", str(inventory), "play.yml"],
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def read(self, path: str) -> Any:
        return yaml.safe_load((self.directory / path).read_text())


@pytest.fixture
def monitoring(tmp_path: Path) -> Monitoring:
    return Monitoring(tmp_path, ANSIBLES[0])


@pytest.mark.parametrize("ansible", ANSIBLES)
def test_prometheus_and_grafana_are_told_of_the_farm(ansible: str, tmp_path: Path) -> None:
    monitoring = Monitoring(tmp_path, ansible)
    done = monitoring.play(*NODES)
    assert done.returncode == 0, done.stdout + done.stderr
    config = monitoring.read("prometheus.yml")
    assert set(config["rule_files"]) == {"first.yml", f"{monitoring.directory}/rules/*.yml"}
    own, theirs = config["scrape_configs"]
    assert (own["job_name"], theirs["job_name"]) == ("sipfarm", "prometheus")
    assert [each["url"] for each in own["http_sd_configs"]] == [
        "http://10.99.1.11:9464/sd",
        "http://[2001:db8::12]:9465/sd",
        "http://10.99.1.13:9464/sd",
    ]
    assert monitoring.read("rules/sipfarm.yml") == yaml.safe_load(RULES)
    (source,) = monitoring.read("provisioning/datasources/sipfarm.yml")["datasources"]
    assert source["url"] == "http://mon:9090"
    (provider,) = monitoring.read("provisioning/dashboards/sipfarm.yml")["providers"]
    boards = list(Path(provider["options"]["path"]).glob("sipfarm-*.json"))
    assert len(boards) == 6


def test_a_second_run_changes_nothing_and_a_node_less_is_asked_no_more(
    monitoring: Monitoring,
) -> None:
    assert monitoring.play(*NODES).returncode == 0
    again = monitoring.play(*NODES)
    assert "changed=0 " in again.stdout, again.stdout
    fewer = monitoring.play(NODES[3])
    assert fewer.returncode == 0, fewer.stdout
    assert monitoring.prometheus.read_text().count("/sd") == 1


def test_nodes_that_answer_nobody_else_are_refused(monitoring: Monitoring) -> None:
    done = monitoring.play({"address": "10.99.1.11"}, {})
    assert done.returncode != 0
    assert "1 of 2 nodes answer Prometheus on themselves alone" in done.stdout
    assert monitoring.prometheus.read_text() == PROMETHEUS


def test_what_prometheus_would_not_read_is_not_written(monitoring: Monitoring) -> None:
    monitoring.rules.write_text("groups: [{name: x, rules: [{}]}]")
    done = monitoring.play({"address": "10.99.1.11"})
    assert done.returncode != 0
    assert not (monitoring.directory / "rules/sipfarm.yml").exists()
    assert monitoring.prometheus.read_text() == PROMETHEUS
