"""Names and addresses of the lab's hosts, and the lab's state file."""

import pytest

from deploy.lab import layout
from deploy.lab.layout import LabError, LabState, host


@pytest.mark.parametrize(
    ("name", "address", "is_node"),
    [
        ("n1", "10.77.0.11", True),
        ("n80", "10.77.0.90", True),
        ("p1", "10.77.0.101", False),
        ("p100", "10.77.0.200", False),
    ],
)
def test_names_and_addresses(name: str, address: str, is_node: bool) -> None:
    assert (host(name).address, host(name).is_node) == (address, is_node)


def test_all_addresses_differ_and_are_in_the_network() -> None:
    names = [f"n{number}" for number in range(1, layout.NODES_MAX + 1)]
    names += [f"p{number}" for number in range(1, layout.PHONES_MAX + 1)]
    addresses = {host(name).address for name in names} | {layout.GATEWAY}
    assert len(addresses) == len(names) + 1
    assert all(0 < int(address.removeprefix("10.77.0.")) < 255 for address in addresses)


@pytest.mark.parametrize("name", ["", "n0", "n01", "n81", "p101", "x1", "n1/../..", "n1 ", "N1"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(LabError):
        host(name)


def test_interfaces_fit_the_kernels_limit() -> None:
    assert len(host("p100").interface) <= 15


def test_state_is_read_as_it_was_saved(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "STATE_DIR", tmp_path_factory.mktemp("lab"))
    with pytest.raises(LabError, match="no lab is up"):
        layout.load_state()
    state = LabState(farm="farm.test", nodes=("n1",), services=("redis",), cut=("n1",))
    layout.save_state(state)
    assert layout.load_state() == state
    (layout.STATE_DIR / "lab.json").write_text("{")
    with pytest.raises(LabError, match="sipfarm lab down"):
        layout.load_state()
