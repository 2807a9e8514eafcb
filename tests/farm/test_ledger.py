"""Hundreds of calls are billed once, and whole, while nodes die, freeze, are cut off or run out of
disk, and while the database is away.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from deploy.lab import Lab
from tests.farm import ledger
from tests.farm.asking import PATIENT
from tests.postgresql import Cluster

CALLS = 500
RATE = 25
HELD_UP_MS = 2_000


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL. Not in pytest's folder: any other run of pytest that begins meanwhile shuts its
    user out of that."""
    with tempfile.TemporaryDirectory(prefix="sipfarm-ledger-") as folder:
        cluster = Cluster(Path(folder))
        cluster.start()
        yield cluster
        cluster.stop()


@pytest.mark.usefixtures("no_lab")
def test_no_call_is_lost_or_doubled_whatever_happens_to_the_nodes(cluster: Cluster) -> None:
    lab = Lab.up(3, settings={**PATIENT, "export.postgresql": cluster.address})
    counts = ledger.count(lab, cluster, CALLS, RATE, trouble=True)
    assert (counts.missing, counts.unknown) == ([], [])
    assert counts.placed == counts.exported == CALLS
    assert counts.by_state == {"complete": CALLS}
    assert counts.by_hangup == {"caller": CALLS // 2, "callee": CALLS // 2}
    assert counts.exact > CALLS // 20, "hardly a call was left in peace: this shows little"
    # What an event's write takes is nothing that a call is billed for. A machine that is busy may
    # hold up a process in between, but not for long, or something would have been said twice.
    assert median(counts.off_ms) <= ledger.EXACT_MS, sorted(counts.off_ms)
    assert max(counts.off_ms) <= HELD_UP_MS, sorted(counts.off_ms)
