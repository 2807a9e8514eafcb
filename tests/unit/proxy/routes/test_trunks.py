"""Calls to trunks and from them: who may make them, by which gateway, and what failures lead to."""

from collections.abc import Callable
from typing import Any

import pytest

from overlay.control.proxy_messages import Authenticate, Locate, Located, Secrets
from overlay.records.settings import (
    Emergency,
    FarmSettings,
    Gateway,
    Numbering,
    Trunk,
)
from overlay.records.subscriber import Policy
from overlay.records.targets import Reach, Target
from proxy import counters
from proxy.routes import fork, pins, request, trunks
from proxy.trunk_choice import GatewayTarget, TrunkTable
from proxy.worker import Worker
from tests.unit.proxy.conftest import FakeDaemon, MakeWorker, answer_to, secrets_of
from tests.unit.proxy.fake_ksr import FakeKsr

NORTH = Trunk(
    name="north",
    prefixes=("+49",),
    gateways=(Gateway(host="192.0.2.51"), Gateway(host="192.0.2.52", priority=1)),
    domains=("north.example",),
    username="4711",
    password="secret",
    sources=("192.0.2.50",),
)
RESCUE = Trunk(name="rescue", prefixes=(), gateways=(Gateway(host="192.0.2.61"),))
SETTINGS = FarmSettings(
    trunks=(NORTH, RESCUE),
    numbering=Numbering(country="49"),
    emergency=Emergency(trunks=("rescue", "north")),
)
HOPS = [gateway.uri for gateway in NORTH.gateways]
BOB = Target(uri="sip:bob@192.0.2.20:5060")

Call = Callable[..., Any]


@pytest.fixture
def farm(make_worker: MakeWorker, daemon: FakeDaemon) -> Worker:
    """A farm with trunks, whose callers must prove themselves; nobody is registered."""
    worker = make_worker(proxy={"authenticate": True})
    worker.shown._table = TrunkTable.of(SETTINGS)
    daemon.answers[Authenticate] = secrets_of("alice")
    daemon.located(reach=Reach.UNKNOWN)
    return worker


def call(worker: Worker, kamailio: FakeKsr, uri: str) -> None:
    kamailio.message.request_uri = uri
    answer_to(kamailio)
    request.route(worker)


def plan(kamailio: FakeKsr) -> trunks.TrunkPlan:
    return trunks._decoder.decode(kamailio.variables["$avp(trunk_plan)"])


def fail(worker: Worker, kamailio: FakeKsr, status: int) -> list[Any]:
    """What is done after this answer of a gateway."""
    kamailio.message.status = status
    kamailio.done.clear()
    trunks.try_next_gateway(worker)
    return [each for each in kamailio.done if each[0] != "fr"]


def test_a_number_of_nobody_goes_to_its_trunk(farm: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.fields["Privacy"] = ["id"]
    call(farm, kamailio, "sip:030123@farm.test")
    assert kamailio.done[-1] == "t_relay"
    assert kamailio.message.request_uri == "sip:+4930123@192.0.2.51;transport=udp"
    assert kamailio.next_hop == HOPS[0]
    assert "P-Asserted-Identity: <sip:alice@farm.test>\r\n" in kamailio.inserted
    assert pins.is_pinned(farm, "call-1", "ft")
    assert kamailio.counts[counters.TRUNK_CALLS] == 1
    farm.gateway_target = plan(kamailio).current
    trunks.prepare_branch(farm)
    assert ";k=north;" in kamailio.inserted[-1]


def test_a_subscriber_by_his_number_is_called_directly(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    asked: list[str] = []

    def located(question: Any) -> Located:
        asked.append(question.aor)
        if question.aor == "+4930123@farm.test":
            return Located(id=1, reach=Reach.FOUND, targets=(BOB,))
        return Located(id=1, reach=Reach.UNKNOWN)

    ask = daemon.ask
    daemon.ask = lambda r, s: located(r) if isinstance(r, Locate) else ask(r, s)  # type: ignore[method-assign, assignment]
    call(farm, kamailio, "sip:030123@farm.test")
    assert asked == ["030123@farm.test", "+4930123@farm.test"]
    assert kamailio.message.request_uri == BOB.uri
    assert not any("k=" in each for each in kamailio.inserted)


@pytest.mark.parametrize(
    ("uri", "code"),
    [("sip:+1212555@farm.test", 404), ("sip:bob@farm.test", 404), ("sip:0@farm.test", 404)],
)
def test_without_a_trunk_there_is_nobody(
    farm: Worker, kamailio: FakeKsr, uri: str, code: int
) -> None:
    call(farm, kamailio, uri)
    assert kamailio.done[-1:] == [code]


def test_who_proved_nothing_gets_to_no_trunk(
    farm: Worker, make_worker: MakeWorker, kamailio: FakeKsr
) -> None:
    open_farm = make_worker(proxy={"authenticate": False})
    open_farm.shown._table = TrunkTable.of(SETTINGS)
    kamailio.message.request_uri = "sip:030123@farm.test"
    request.route(open_farm)
    assert kamailio.done == [404]
    kamailio.message.from_uri = "sip:mallory@example.org"
    for uri, code in (
        ("sip:030123@farm.test", 404),
        ("sip:112@farm.test", 407),
        ("sip:x@north.example", 403),
    ):
        kamailio.message.request_uri = uri
        kamailio.done.clear()
        request.route(farm)
        assert kamailio.done == [code], uri


@pytest.mark.parametrize("method", ["OPTIONS", "SUBSCRIBE", "REFER"])
def test_only_calls_and_messages_leave(farm: Worker, kamailio: FakeKsr, method: str) -> None:
    kamailio.message.method = method
    call(farm, kamailio, "sip:030123@farm.test")
    assert kamailio.done[-1:] == [404]


def test_a_domain_of_a_trunk_keeps_its_request_uri(farm: Worker, kamailio: FakeKsr) -> None:
    call(farm, kamailio, "sip:desk@north.example")
    assert kamailio.message.request_uri == "sip:desk@north.example"
    assert (kamailio.next_hop, kamailio.done[-1]) == (HOPS[0], "t_relay")


def test_a_policy_is_about_the_number_that_is_meant(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[Authenticate] = secrets_of("alice", Policy(destinations=("+4930",)))
    call(farm, kamailio, "sip:030123@farm.test")
    assert kamailio.done[-1] == "t_relay"
    kamailio.done.clear()
    kamailio.message.call_id = "call-2"
    call(farm, kamailio, "sip:040123@farm.test")
    assert kamailio.done == [403]


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:110@farm.test", "110"),
        ("sip:112@n1.farm.test", "112"),
        ("urn:service:sos.fire", "112"),
        ("tel:112", "112"),
    ],
)
def test_an_emergency_call_passes_every_limit(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon, uri: str, number: str
) -> None:
    barred = Policy(blocked=True, destinations=("bob@",), calls_per_second_max=1)
    daemon.answers[Authenticate] = secrets_of("alice", barred)
    farm.unwritable_until_s = farm.clock() + 1000
    kamailio.message.from_uri = "sip:somebody@farm.test"
    kamailio.message.fields["Session-Expires"] = ["1"]
    call(farm, kamailio, uri)
    assert kamailio.done[-1] == "t_relay"
    assert kamailio.message.request_uri == f"sip:{number}@192.0.2.61;transport=udp"
    assert [target.trunk for target in plan(kamailio).later] == ["north", "north"]
    assert kamailio.counts[counters.EMERGENCY_CALLS] == 1
    assert not any(isinstance(asked, Locate) for asked in daemon.asked)


def test_a_wrong_password_is_no_emergency(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[Authenticate] = Secrets(id=1, ha1="0" * 32, ha1_sha256="0" * 64)
    call(farm, kamailio, "sip:112@farm.test")
    assert kamailio.done == [407]


def test_a_carriers_calls_go_to_subscribers_alone(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    kamailio.message.source = ("192.0.2.50", 5060)
    kamailio.message.from_uri = "sip:+4940555@north.example"
    kamailio.message.fields["P-Asserted-Identity"] = ["<sip:+4940555@north.example>"]
    for uri, code in (
        ("sip:+4930123@farm.test", 404),
        ("sip:112@farm.test", 404),
        ("sip:x@north.example", 403),
    ):
        kamailio.message.request_uri = uri
        kamailio.done.clear()
        request.route(farm)
        assert kamailio.done == [code], uri
    daemon.located(BOB)
    kamailio.message.request_uri = "sip:bob@farm.test"
    kamailio.done.clear()
    request.route(farm)
    assert kamailio.done == ["forward"]
    assert kamailio.message.fields["P-Asserted-Identity"] == ["<sip:+4940555@north.example>"]
    assert any(";k=north;" in each for each in kamailio.inserted)
    assert kamailio.counts[counters.TRUNK_CALLS_IN] == 4


@pytest.mark.parametrize("status", [408, 430, 477, 478, 503])
def test_the_next_gateway_is_tried_after_no_service(
    farm: Worker, kamailio: FakeKsr, status: int
) -> None:
    call(farm, kamailio, "sip:030123@farm.test")
    assert fail(farm, kamailio, status) == ["t_relay"]
    assert kamailio.next_hop == HOPS[1]
    assert kamailio.message.request_uri == "sip:+4930123@192.0.2.52;transport=udp"
    # There is no third one; a 503 of it would mean that the farm cannot serve.
    expected = [(500, "Carrier Unavailable")] if status == 503 else []
    assert fail(farm, kamailio, status) == expected


@pytest.mark.parametrize("status", [404, 480, 486, 487, 500, 603])
def test_what_the_callee_says_is_for_the_caller(
    farm: Worker, kamailio: FakeKsr, status: int
) -> None:
    call(farm, kamailio, "sip:030123@farm.test")
    assert fail(farm, kamailio, status) == []


def test_nobody_rings_at_another_gateway_who_did_not_answer_or_gave_up(
    farm: Worker, kamailio: FakeKsr
) -> None:
    call(farm, kamailio, "sip:030123@farm.test")
    kamailio.timed_out = kamailio.rang = True
    assert fail(farm, kamailio, 408) == []
    kamailio.rang = False
    kamailio.canceled = True
    assert fail(farm, kamailio, 408) == []


def test_an_emergency_call_goes_on_until_somebody_is_reached(
    farm: Worker, kamailio: FakeKsr
) -> None:
    call(farm, kamailio, "sip:112@farm.test")
    assert fail(farm, kamailio, 404) == ["t_relay"]
    assert kamailio.next_hop == HOPS[0]
    assert fail(farm, kamailio, 486) == []


def test_a_gateway_that_cannot_be_sent_to_is_passed_over(farm: Worker, kamailio: FakeKsr) -> None:
    kamailio.unreachable = {HOPS[0]}
    call(farm, kamailio, "sip:030123@farm.test")
    assert kamailio.next_hop == HOPS[1]
    assert kamailio.done[-1] == "t_relay"
    kamailio.unreachable = set(HOPS)
    kamailio.message.call_id = "call-2"
    call(farm, kamailio, "sip:030123@farm.test")
    assert kamailio.done[-1] == 500


def test_a_challenge_is_answered_once_and_never_passed_on(farm: Worker, kamailio: FakeKsr) -> None:
    call(farm, kamailio, "sip:030123@farm.test")
    assert fail(farm, kamailio, 407) == [("proof", "4711", "secret"), "t_relay"]
    assert kamailio.variables["$avp(trunk_password)"] == ""
    assert fail(farm, kamailio, 407) == [(502, "Carrier Refused Credentials")]


def test_the_next_gateway_may_ask_again(farm: Worker, kamailio: FakeKsr) -> None:
    call(farm, kamailio, "sip:030123@farm.test")
    fail(farm, kamailio, 407)
    assert fail(farm, kamailio, 503) == ["t_relay"]
    assert fail(farm, kamailio, 401)[0] == ("proof", "4711", "secret")


def test_a_trunk_without_a_password_answers_no_challenge(farm: Worker, kamailio: FakeKsr) -> None:
    target = GatewayTarget("rescue", "sip:1@192.0.2.61", "sip:192.0.2.61")
    trunks.send(farm, "INVITE", (target,))
    assert fail(farm, kamailio, 401) == [(502, "Carrier Refused Credentials")]


def test_a_loop_and_a_retransmission_go_nowhere(farm: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.vias = fork.VIAS_MAX + 1
    call(farm, kamailio, "sip:030123@farm.test")
    assert kamailio.done[-1:] == [482]
    kamailio.message.vias, kamailio.message.call_id = 1, "call-2"
    kamailio.transaction = 0
    kamailio.done.clear()
    call(farm, kamailio, "sip:030123@farm.test")
    assert "t_relay" not in kamailio.done
    assert not any(isinstance(each, int) for each in kamailio.done)
