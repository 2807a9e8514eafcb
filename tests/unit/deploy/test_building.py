import pytest

from deploy.lab.building import node_config
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
