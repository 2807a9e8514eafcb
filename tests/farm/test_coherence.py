"""Every node sees a re-REGISTER as soon as it is acknowledged, also while daemons die."""

from deploy.lab import Lab
from tests.farm import coherence

TRIES = 4_000
KILL_EVERY = 300


def test_no_node_serves_an_older_binding(breakable_lab: Lab) -> None:
    counts = coherence.run(breakable_lab, TRIES, KILL_EVERY, seed=1)
    assert counts.stale == []
    assert counts.kills >= 2
    assert counts.unacknowledged < TRIES // 20
    assert counts.hot > counts.looks // 2, "the caches were hardly used: this shows little"
