"""Making a lab: its settings, the memory that it needs, how long its nodes wait for each other."""

import pytest

from deploy.lab import services
from deploy.lab.building import check_memory, node_config, patience
from deploy.lab.layout import LabError, host
from overlay.base.errors import ConfigError

NAMES = ("n1", "n2", "n3", "n4", "n5")


def test_a_node_is_told_of_some_others_and_never_of_itself() -> None:
    config = node_config(host("n2"), NAMES, "farm.test", {})
    assert config.node.name == "n2"
    assert config.node.address == "10.77.0.12"
    assert config.overlay.bootstrap == ("10.77.0.11", "10.77.0.13", "10.77.0.14")


def test_settings_win() -> None:
    settings = {"overlay.replicas": 5, "overlay.write_quorum": 3, "overlay.read_quorum": 3}
    config = node_config(host("n1"), NAMES, "farm.test", settings)
    assert (config.overlay.replicas, config.overlay.write_quorum) == (5, 3)


@pytest.mark.parametrize("settings", [{"overlay.nonsense": 1}, {"overlay.write_quorum": 9}])
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="overlay"):
        node_config(host("n1"), NAMES, "farm.test", settings)


def test_settings_without_a_section_are_refused() -> None:
    with pytest.raises(LabError, match=r"section\.key=value"):
        node_config(host("n1"), NAMES, "farm.test", {"replicas": 1})


def test_a_lab_that_does_not_fit_into_memory_is_refused_with_what_would_fit() -> None:
    check_memory(60, services.ALL, 10_000)
    with pytest.raises(LabError, match=r"80 nodes take 12\.0 GiB .* 9\.8 GiB are free: at most 64"):
        check_memory(80, services.ALL, 10_000)
    check_memory(80, [services.REDIS], 1_000)


def test_nodes_that_share_few_cores_wait_longer_for_each_other() -> None:
    assert patience(10, cores=2) == {}
    assert patience(60, cores=2) == {
        "request_timeout_ms": 3_000,
        "probe_timeout_ms": 900,
        "suspicion_min_ms": 1_500,
    }


def test_settings_of_the_command_line_win_over_patience() -> None:
    names = [f"n{number}" for number in range(1, 81)]
    config = node_config(host("n1"), names, "farm.test", {"overlay.probe_timeout_ms": 100})
    assert config.overlay.probe_timeout_ms == 100
