"""Fixtures: the lab of `tests/farm`."""

from tests.farm.conftest import breakable_lab, keeper, lab, no_lab, pytest_runtest_makereport

__all__ = ["breakable_lab", "keeper", "lab", "no_lab", "pytest_runtest_makereport"]
