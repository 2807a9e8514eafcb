"""Requests inside a dialog, on any node."""

import pytest

from overlay.control.proxy_messages import WriteEvent, Written
from overlay.records.call import EventKind
from proxy import counters, route_token
from proxy.route_token import Flow
from proxy.routes import request
from proxy.worker import Worker
from tests.unit.proxy.conftest import KEY, FakeDaemon, MakeWorker
from tests.unit.proxy.fake_ksr import FakeKsr

PHONE = "sip:bob@192.0.2.20:5060"


def _in_dialog(
    kamailio: FakeKsr,
    method: str,
    *,
    from_callee: bool = False,
    caller: Flow | None = None,
    callee: Flow | None = None,
) -> None:
    message = kamailio.message
    message.method, message.request_uri = method, PHONE
    message.from_tag, message.to_tag = ("tt", "ft") if from_callee else ("ft", "tt")
    uri = "sip:farm.test;lr;" + route_token.write_record_route(KEY, "call-1", "ft", caller, callee)
    message.fields["Route"] = [f"<{uri}>"]


@pytest.fixture(autouse=True)
def _written(daemon: FakeDaemon) -> None:
    daemon.answers[WriteEvent] = Written(id=1, level="quorum")


@pytest.mark.parametrize("method", ["ACK", "BYE", "INVITE", "UPDATE"])
@pytest.mark.parametrize("from_callee", [False, True])
def test_any_node_sends_it_on(
    make_worker: MakeWorker, kamailio: FakeKsr, method: str, from_callee: bool
) -> None:
    _in_dialog(kamailio, method, from_callee=from_callee)
    request.route(make_worker(proxy={"authenticate": True}))
    assert kamailio.done == ["loose_route", "forward"]
    assert kamailio.inserted == []
    assert kamailio.message.request_uri == PHONE


def test_a_route_that_the_phone_rewrote_is_still_ours(worker: Worker, kamailio: FakeKsr) -> None:
    _in_dialog(kamailio, "INVITE")
    (route,) = kamailio.message.fields["Route"]
    rewritten = route.replace("sip:farm.test;lr;", "sip:FARM.TEST:5060;transport=udp;LR=on;")
    kamailio.message.fields["Route"] = [f'"proxy" {rewritten}']
    request.route(worker)
    assert kamailio.done == ["loose_route", "forward"]


def test_the_callees_flow_is_for_the_caller_and_the_other_way_round(
    worker: Worker, kamailio: FakeKsr
) -> None:
    caller, callee = Flow("n1", "tcp", "10.0.0.1", 1), Flow("n2", "udp", "10.0.0.2", 2)
    _in_dialog(kamailio, "INVITE", caller=caller, callee=callee)
    request.route(worker)
    assert kamailio.next_hop == "sip:n2.farm.test:5060;transport=udp"
    kamailio.next_hop = None
    _in_dialog(kamailio, "INVITE", from_callee=True, caller=caller, callee=callee)
    request.route(worker)
    assert kamailio.next_hop == caller.uri


def test_a_flow_is_not_for_a_request_that_has_more_proxies_to_visit(
    worker: Worker, kamailio: FakeKsr
) -> None:
    _in_dialog(kamailio, "INFO", callee=Flow("n2", "tcp", "10.0.0.2", 2))
    kamailio.message.fields["Route"].append("<sip:example.org;lr>")
    request.route(worker)
    assert kamailio.next_hop == "sip:example.org;lr"
    assert kamailio.counts == {}


def test_a_request_uri_that_is_the_farm_would_go_round_in_circles(
    worker: Worker, kamailio: FakeKsr
) -> None:
    _in_dialog(kamailio, "INVITE")
    kamailio.message.request_uri = "sip:bob@farm.test"
    request.route(worker)
    assert kamailio.done == ["loose_route", 404]


def test_a_bye_is_written_before_it_goes_on(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    _in_dialog(kamailio, "BYE")
    request.route(worker)
    (asked,) = daemon.asked
    assert isinstance(asked, WriteEvent)
    assert asked.event.kind is EventKind.STOP
    assert kamailio.done == ["loose_route", "forward"]


@pytest.mark.parametrize(("protocol", "answer"), [("udp", []), ("tcp", [503])])
def test_a_bye_that_cannot_be_written_is_held_back(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, protocol: str, answer: list[int]
) -> None:
    daemon.answers.clear()
    kamailio.message.protocol = protocol
    _in_dialog(kamailio, "BYE")
    request.route(worker)
    assert kamailio.done == ["loose_route", *answer]
    assert kamailio.counts[counters.EVENTS_DROPPED] == 1


def test_a_bye_over_a_connection_to_a_udp_phone_is_a_transaction(
    worker: Worker, kamailio: FakeKsr
) -> None:
    kamailio.message.protocol = "tcp"
    _in_dialog(kamailio, "BYE")
    request.route(worker)
    assert kamailio.done == ["loose_route", "t_relay"]


def _handed_over(kamailio: FakeKsr, flow: Flow, call_id: str = "call-1") -> None:
    kamailio.message.request_uri = PHONE
    uri = route_token.write_owner_route(KEY, "n1.farm.test", call_id, flow)
    kamailio.message.fields["Route"] = [f"<{uri}>"]


@pytest.mark.parametrize("method", ["INVITE", "ACK", "CANCEL", "BYE", "MESSAGE"])
def test_what_another_node_handed_over_goes_on_its_flow(
    make_worker: MakeWorker, kamailio: FakeKsr, daemon: FakeDaemon, method: str
) -> None:
    kamailio.message.method = method
    _handed_over(kamailio, Flow("n1", "tcp", "10.0.0.1", 1))
    request.route(make_worker(proxy={"authenticate": True}))
    assert kamailio.next_hop == "sip:10.0.0.1:1;transport=tcp"
    assert kamailio.done == ["loose_route", "no connect", "forward"]
    assert daemon.asked == []


def test_a_flow_that_is_gone(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.forward_result = -1
    _handed_over(kamailio, Flow("n1", "tcp", "10.0.0.1", 1))
    request.route(worker)
    assert kamailio.done[-2:] == ["forward failed", 430]
    assert kamailio.counts[counters.FLOWS_BROKEN] == 1


@pytest.mark.parametrize(("owner", "call_id"), [("n2", "call-1"), ("n1", "other call")])
def test_a_flow_of_another_node_or_call_makes_a_stranger_of_its_sender(
    worker: Worker, kamailio: FakeKsr, owner: str, call_id: str
) -> None:
    _handed_over(kamailio, Flow(owner, "tcp", "10.0.0.1", 1), call_id)
    request.route(worker)
    assert kamailio.next_hop is None
    assert counters.FLOWS_DELIVERED not in kamailio.counts


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_refresh_is_proof_of_life_and_is_never_held_up(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, method: str
) -> None:
    _in_dialog(kamailio, method)
    kamailio.message.fields["Session-Expires"] = ["1800;refresher=uac"]
    for _ in range(2):
        request.route(worker)
    (asked,) = daemon.asked
    assert isinstance(asked, WriteEvent)
    assert (asked.event.kind, asked.event.session_s) == (EventKind.INTERIM, 1_800)
    kamailio.message.cseq = 2
    daemon.answers.clear()
    kamailio.done.clear()
    request.route(worker)
    assert "forward" in kamailio.done
