"""What anybody might send to SIP ports does a node no harm; `tests/fuzz/sip.py` plays more."""

from deploy.lab import Lab
from tests.fuzz.sip import BATCH, SETTINGS, Fire

_BATCHES = 8


def test_a_node_bears_what_anybody_might_send(no_lab: None) -> None:
    fire = Fire(Lab.up(1, settings=SETTINGS))
    for seed in range(_BATCHES):
        fire.batch(seed, BATCH)
    fire.close()
