"""Fixtures: the command line of the unit tests."""

from tests.unit.cli.conftest import cli

__all__ = ["cli"]
