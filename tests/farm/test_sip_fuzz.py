"""Anything that a sender may put on the SIP ports does a node no harm; `tests/fuzz/sip.py` plays
more.
"""

import pytest

from deploy.lab import Lab
from tests.fuzz.sip import BATCH, OPEN, SETTINGS, Fire

_BATCHES = 12


@pytest.mark.parametrize("settings", [SETTINGS, OPEN], ids=["with proofs", "open"])
def test_a_node_bears_what_anybody_might_send(no_lab: None, settings: dict[str, object]) -> None:
    fire = Fire(Lab.up(1, settings=settings))
    for seed in range(_BATCHES):
        fire.batch(seed, BATCH)
    fire.rest()
    fire.close()
