"""Fixtures: a farm's CA and a node of it, made anew for each test."""

import dataclasses
from pathlib import Path

import pytest

from overlay.config import config
from overlay.config.config import Config
from overlay.identity import ca

FARM = "farm.test"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Enrolled:
    """Where a test's CA and its node's identity are."""

    ca: Path
    node: Path
    config: Config


def configure(directory: Path, *, node: str = "n1", address: str = "192.0.2.1") -> Config:
    """The configuration of a node with its identity in `directory`."""
    sections = {
        "farm": {"name": FARM},
        "node": {"name": node, "address": address, "identity_dir": str(directory)},
    }
    return config.parse(sections, "test")


@pytest.fixture
def enrolled(tmp_path: Path) -> Enrolled:
    """A CA that has issued the identity of node n1."""
    ca.create(tmp_path / "ca", FARM)
    ca.issue(tmp_path / "ca", FARM, "n1", "192.0.2.1", tmp_path / "n1")
    return Enrolled(ca=tmp_path / "ca", node=tmp_path / "n1", config=configure(tmp_path / "n1"))
