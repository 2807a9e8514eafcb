"""Fixtures: the CA and the node of the unit tests."""

from tests.unit.identity.conftest import enrolled

__all__ = ["enrolled"]
