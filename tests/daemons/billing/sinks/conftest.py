"""Fixtures that the tests of the sinks share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import Cluster


@pytest.fixture
def database() -> Iterator[Cluster]:
    """A PostgreSQL, until the end of the test; not in pytest's folder, which other runs of it close
    to its user."""
    with tempfile.TemporaryDirectory(prefix="sipfarm-pg-") as folder:
        cluster = Cluster(Path(folder))
        cluster.start()
        yield cluster
        cluster.stop()
