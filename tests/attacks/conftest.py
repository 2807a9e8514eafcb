"""The lab of `tests/farm/`, for attacks on it."""

from tests.farm.conftest import alice, breakable_lab, keeper, lab, pytest_runtest_makereport

__all__ = ["alice", "breakable_lab", "keeper", "lab", "pytest_runtest_makereport"]
