"""The checks that a request must pass before anything else is done for it."""

import pytest

from proxy import counters
from proxy.routes import checks
from proxy.worker import Worker
from tests.unit.proxy.fake_ksr import FakeKsr


@pytest.mark.parametrize("uri", ["sip:@", "SIPS:::", "tel:", "urn:", "<sip:bob@farm.test>", ""])
def test_what_is_wrong_with_a_scheme_that_is_known_kamailio_says(
    worker: Worker, kamailio: FakeKsr, uri: str
) -> None:
    kamailio.message.request_uri, kamailio.message.readable = uri, False
    kamailio.sane = False
    assert not checks.pass_form(worker)
    assert kamailio.done == []


@pytest.mark.parametrize("uri", ["http://farm.test", "soap.beep://farm.test", "x:y"])
def test_others_are_416(worker: Worker, kamailio: FakeKsr, uri: str) -> None:
    kamailio.message.request_uri, kamailio.message.readable = uri, False
    assert not checks.pass_form(worker)
    assert kamailio.done == [416]
    assert kamailio.counts == {counters.MALFORMED: 1}


@pytest.mark.parametrize(
    ("protocol", "promised", "there", "passes"),
    [
        ("udp", 10, 10, True),
        ("udp", 10, 20, True),
        ("udp", None, 20, True),
        ("udp", 10, 9, False),
        ("tcp", 10, 9, True),
    ],
)
def test_a_datagram_has_the_body_that_it_promises(
    worker: Worker,
    kamailio: FakeKsr,
    protocol: str,
    promised: int | None,
    there: int,
    passes: bool,
) -> None:
    message = kamailio.message
    message.protocol, message.promised, message.body_length = protocol, promised, there
    assert checks.pass_form(worker) is passes
    assert kamailio.done == ([] if passes else [400])
