"""What the operator allows one subscriber to do."""

import pytest

from overlay.records.subscriber import Policy
from proxy import counters
from proxy.routes import policy
from proxy.worker import Worker
from tests.unit.proxy.conftest import Clock
from tests.unit.proxy.fake_ksr import FakeKsr

ALICE = "alice@farm.test"


@pytest.mark.parametrize(
    ("destinations", "uri", "method", "passes"),
    [
        ((), "sip:+4930@example.org", "INVITE", True),
        (("+49", "0"), "sip:+4930@farm.test", "INVITE", True),
        (("+49", "0"), "sip:%2B4930@192.0.2.1", "INVITE", True),
        (("+49", "0"), "sip:+1900@farm.test", "INVITE", False),
        (("+49", "0"), "sip:+1900@farm.test", "MESSAGE", False),
        (("+49", "0"), "sip:+1900@farm.test", "SUBSCRIBE", True),
        (("bob@farm.test",), "sip:bob@farm.test", "INVITE", True),
        (("bob@farm.test",), "sip:bob@example.org", "INVITE", False),
    ],
)
def test_destinations(
    worker: Worker,
    kamailio: FakeKsr,
    destinations: tuple[str, ...],
    uri: str,
    method: str,
    passes: bool,
) -> None:
    kamailio.message.request_uri = uri
    allowed = Policy(destinations=destinations)
    assert policy.pass_call(worker, ALICE, allowed, method, repeated=False) is passes
    assert kamailio.done == ([] if passes else [403])


def test_calls_of_a_second(worker: Worker, kamailio: FakeKsr, clock: Clock) -> None:
    few = Policy(calls_per_second_max=2)

    def call(*, repeated: bool = False) -> bool:
        return policy.pass_call(worker, ALICE, few, "INVITE", repeated=repeated)

    assert [call(), call(repeated=True), call(), call()] == [True, True, True, False]
    assert kamailio.done == [503]
    assert kamailio.reply_fields[0] == "Retry-After: 1\r\n"
    assert kamailio.counts == {counters.POLICY_RATES: 1}
    assert policy.pass_call(worker, "bob@farm.test", few, "INVITE", repeated=False)
    clock.now_s += 1
    assert call()
