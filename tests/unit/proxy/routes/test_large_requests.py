"""Requests that are too large for UDP."""

import pytest

from overlay.records.targets import Target
from proxy.routes import relay
from proxy.worker import Worker
from tests.unit.proxy.fake_ksr import FakeKsr


@pytest.mark.parametrize(
    "target",
    [
        Target(uri="sip:bob@192.0.2.20;transport=udp"),
        Target(uri="sips:bob@192.0.2.20"),
        Target(uri="sip:bob@192.0.2.20?Subject=x"),
        Target(uri="sip:bob@192.0.2.20", received="sip:198.51.100.1:9;transport=udp", owner="n1"),
        Target(uri="sip:bob@192.0.2.20", path=("sip:edge.test;lr",)),
    ],
)
def test_who_has_one_way_gets_large_calls_on_it(
    worker: Worker, kamailio: FakeKsr, target: Target
) -> None:
    kamailio.message.length = 4_000
    relay.to_targets(worker, "INVITE", (target,))
    assert kamailio.done[-1] == "forward"
