"""Real phones whose node is killed or drained find another; `phone_table.py` tries more, and
longer.
"""

from collections.abc import Iterator

import pytest

from deploy.lab import Lab
from tests.farm.phone_trials import Fault, Kind, drain, kill, mend, scene, talking
from tests.farm.phones import PjsipPhone

LIMIT_S = 40.0


@pytest.fixture
def mended(lab: Lab) -> Iterator[Lab]:
    """The lab, whole again afterwards, also for nodes that drain."""
    yield lab
    mend(lab)


def _play_talking(lab: Lab, kind: Kind, transport: str, fault: Fault) -> None:
    with scene(lab, kind, transport, LIMIT_S) as played:
        steps = talking(played, fault)
    assert [step.name for step in steps if step.took_s is None] == []


def test_a_call_goes_on_while_its_node_drains(mended: Lab) -> None:
    _play_talking(mended, PjsipPhone, "udp", drain)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_call_on_a_connection_goes_on_without_its_node(mended: Lab, transport: str) -> None:
    _play_talking(mended, PjsipPhone, transport, kill)
