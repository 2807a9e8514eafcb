"""The file by which a Kamailio hands the list of pinged flows to the next one."""

from pathlib import Path

import pytest

from proxy import pinged_flows

FLOWS = {"192.0.2.1:5060|a@farm.test": (100.0, "sip:a@h"), "x:1|b@farm.test": (50.0, "sip:b@h")}


def test_what_is_still_bound_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "flows.json"
    pinged_flows.write(path, FLOWS)
    assert pinged_flows.read(path, 0) == FLOWS
    assert list(pinged_flows.read(path, 60)) == ["192.0.2.1:5060|a@farm.test"]
    assert [each.name for each in tmp_path.iterdir()] == ["flows.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 1}', b'{"a": ["x", "y"]}', b"\xff"])
def test_a_file_that_cannot_be_read_holds_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "flows.json"
    assert pinged_flows.read(path, 0) == {}
    path.write_bytes(content)
    assert pinged_flows.read(path, 0) == {}


@pytest.mark.parametrize("contact", ["sip:a@h", "sip:a@h;x=a b", ""])
def test_a_flow_in_a_table(contact: str) -> None:
    assert pinged_flows.decode(pinged_flows.encode((12.0, contact))) == (12.0, contact)
