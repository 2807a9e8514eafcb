"""The content of call events: caller, callee, source and route."""

import pytest

from overlay.control.proxy_messages import WriteEvent, Written
from overlay.records.call import CallEvent, EventKind
from overlay.records.targets import Target
from proxy import counters, route_token
from proxy.routes import dialog, relay, reply
from proxy.worker import Worker
from tests.unit.proxy.conftest import FakeDaemon, MakeWorker
from tests.unit.proxy.fake_ksr import FakeKsr

BOBS = "sip:bob@192.0.2.20:5062"


@pytest.fixture(autouse=True)
def _written(daemon: FakeDaemon) -> None:
    daemon.answers[WriteEvent] = Written(id=1, level="quorum")


def invite(worker: Worker, kamailio: FakeKsr, caller: str = "alice@farm.test") -> str:
    """Send the INVITE on; the Record-Route that it got."""
    worker.caller, worker.asserted = caller, f"sip:{caller}" if caller else ""
    relay.to_targets(worker, "INVITE", (Target(uri=BOBS),))
    value = next(each for each in kamailio.inserted if each.startswith("Record-Route"))
    return value.removeprefix("Record-Route: ").strip()


def answered(kamailio: FakeKsr, record_route: str, status: int = 200) -> None:
    """Its answer comes, from bob."""
    message = kamailio.message
    message.protocol = "udp"
    message.status, message.to_tag, message.source = status, "tt", ("192.0.2.20", 5062)
    message.fields = {"Record-Route": [record_route], "Contact": [f"<{BOBS}>"]}


def event_of(daemon: FakeDaemon) -> CallEvent:
    (asked,) = (each for each in daemon.asked if isinstance(each, WriteEvent))
    return asked.event


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_a_start_has_what_the_invite_told_on_whatever_node(
    make_worker: MakeWorker, kamailio: FakeKsr, daemon: FakeDaemon, protocol: str
) -> None:
    kamailio.message.source, kamailio.message.protocol = ("192.0.2.10", 5070), protocol
    record_route = invite(make_worker(), kamailio)
    assert not {"alice", "192.0.2.10"} & set(record_route.replace(";", "=").split("="))
    answered(kamailio, record_route)
    reply.route(make_worker())
    event = event_of(daemon)
    assert (event.subscriber, event.asserted) == ("alice@farm.test", "sip:alice@farm.test")
    assert (event.request_uri, event.routed_uri) == ("sip:bob@farm.test", BOBS)
    assert event.origin == f"{protocol}:192.0.2.10:5070"
    assert event.destination == "udp:192.0.2.20:5062"


def test_a_caller_who_proved_nothing_is_nobody(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    answered(kamailio, invite(worker, kamailio, caller=""))
    reply.route(worker)
    event = event_of(daemon)
    assert (event.subscriber, event.asserted, event.routed_uri) == ("", "", BOBS)


def test_a_note_that_is_not_the_farms_costs_nothing_but_itself(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    record_route = invite(worker, kamailio)
    value = route_token.parameters_of(record_route.strip("<>"))["e"]
    answered(kamailio, record_route.replace(value, "A" * len(value)))
    reply.route(worker)
    event = event_of(daemon)
    assert event.kind is EventKind.START
    assert (event.subscriber, event.request_uri, event.routed_uri) == ("", "", "")
    assert kamailio.counts[counters.NOTES_REFUSED] == 1


def test_a_refused_call_is_noted_by_the_node_that_sent_it(
    make_worker: MakeWorker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    worker = make_worker(billing={"attempts": True})
    record_route = invite(worker, kamailio)
    answered(kamailio, record_route, status=486)
    del kamailio.message.fields["Record-Route"]
    reply.route(worker)
    event = event_of(daemon)
    assert (event.kind, event.code) == (EventKind.ATTEMPT, 486)
    assert (event.subscriber, event.routed_uri) == ("alice@farm.test", BOBS)


@pytest.mark.parametrize(
    ("method", "kind"),
    [("BYE", EventKind.STOP), ("INVITE", EventKind.INTERIM), ("UPDATE", EventKind.INTERIM)],
)
@pytest.mark.parametrize("by_caller", [True, False])
def test_requests_of_the_call_bring_the_note_back(
    make_worker: MakeWorker,
    kamailio: FakeKsr,
    daemon: FakeDaemon,
    by_caller: bool,
    method: str,
    kind: EventKind,
) -> None:
    record_route = invite(make_worker(), kamailio)
    message = kamailio.message
    message.method, message.to_tag, message.request_uri = method, "tt", BOBS
    if not by_caller:
        message.from_tag, message.to_tag = "tt", message.from_tag
        message.from_uri, message.to_uri = message.to_uri, message.from_uri
        message.request_uri = "sip:alice@192.0.2.10"
    parameters = route_token.parameters_of(record_route.strip("<>"))
    assert dialog.route(make_worker(), method, parameters)
    event = event_of(daemon)
    assert event.kind is kind
    assert (event.subscriber, event.asserted) == ("alice@farm.test", "sip:alice@farm.test")
    assert (event.routed_uri, event.origin) == (BOBS, "udp:192.0.2.10:5060")
