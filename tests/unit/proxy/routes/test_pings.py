"""The node that has a phone's flow pings the phone behind its NAT, for as long as it is bound."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from overlay.control.proxy_messages import Register, Registered
from overlay.records.register import RegisterOutcome
from proxy.ping_round import PingRound, slice_of
from proxy.routes import pings, registrar, reply
from proxy.settings import Settings
from proxy.source_quota import FLOWS_FOR_A_REQUEST
from proxy.worker import Worker
from tests.unit.proxy.conftest import FakeDaemon, MakeWorker
from tests.unit.proxy.fake_ksr import FakeKsr

CONTACT = "sip:alice@192.168.1.5:5060"
ADDRESS = "198.51.100.1:1024"
ROUND_S = 30


@pytest.fixture(autouse=True)
def _register(kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    message = kamailio.message
    message.method, message.request_uri = "REGISTER", "sip:farm.test"
    message.to_uri = message.from_uri = "sip:alice@farm.test"
    message.source = ("198.51.100.1", 1024)
    message.fields = {"Contact": [f"<{CONTACT}>"]}
    daemon.answers[Register] = Registered(id=1, outcome=RegisterOutcome.DONE)


def _pinged(worker: Worker, kamailio: FakeKsr, due: PingRound | None = None) -> list[str]:
    """Who is sent something within a round."""
    kamailio.sent.clear()
    due = due or PingRound(ROUND_S)
    for _ in range(ROUND_S):
        pings.tick(worker, due)
    return [uri for uri, _ in kamailio.sent]


def test_a_phone_behind_a_nat_is_pinged_once_a_round(worker: Worker, kamailio: FakeKsr) -> None:
    registrar.register(worker)
    assert _pinged(worker, kamailio) == [f"sip:{ADDRESS};transport=udp"]
    ((_, text),) = kamailio.sent
    assert text.startswith(f"OPTIONS {CONTACT} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=")
    assert text.endswith("Content-Length: 0\r\n\r\n")
    assert kamailio.counts["nat_pings"] == 1


@pytest.mark.parametrize(
    ("protocol", "source"), [("udp", ("192.168.1.5", 5060)), ("tcp", ("198.51.100.1", 1024))]
)
def test_nobody_else_is_pinged(
    worker: Worker, kamailio: FakeKsr, protocol: str, source: tuple[str, int]
) -> None:
    kamailio.message.protocol, kamailio.message.source = protocol, source
    registrar.register(worker)
    assert _pinged(worker, kamailio) == []


def test_a_registration_that_failed_is_none(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[Register] = Registered(id=1, outcome=RegisterOutcome.TOO_MANY)
    registrar.register(worker)
    assert _pinged(worker, kamailio) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"Contact": [f"<{CONTACT}>;expires=0"]},
        {"Contact": ["*"], "Expires": ["0"]},
    ],
)
def test_pings_end_with_the_binding(
    worker: Worker, kamailio: FakeKsr, fields: dict[str, list[str]]
) -> None:
    registrar.register(worker)
    kamailio.message.fields = fields
    registrar.register(worker)
    assert _pinged(worker, kamailio) == []


def test_a_question_about_bindings_ends_none(worker: Worker, kamailio: FakeKsr) -> None:
    registrar.register(worker)
    kamailio.message.fields = {}
    registrar.register(worker)
    assert _pinged(worker, kamailio) != []


def test_two_subscribers_of_one_phone_are_one_flow(worker: Worker, kamailio: FakeKsr) -> None:
    registrar.register(worker)
    kamailio.message.to_uri = kamailio.message.from_uri = "sip:bob@farm.test"
    registrar.register(worker)
    assert len(_pinged(worker, kamailio)) == 1
    kamailio.message.fields = {"Contact": [f"<{CONTACT}>;expires=0"]}
    registrar.register(worker)
    assert len(_pinged(worker, kamailio)) == 1, "the other one is still bound"


def _answer_ping(kamailio: FakeKsr) -> None:
    ((_, text),) = kamailio.sent
    message = kamailio.message
    message.method, message.status = "OPTIONS", 404
    message.call_id = text.partition("Call-ID: ")[2].partition("\r\n")[0]


def test_an_answer_to_no_ping_leaves_nothing(worker: Worker, kamailio: FakeKsr) -> None:
    registrar.register(worker)
    _pinged(worker, kamailio)
    _answer_ping(kamailio)
    kamailio.message.source = ("198.51.100.66", 1024)
    for call_id in (kamailio.message.call_id, "nat-ping-1", "nat-ping-", "nat-ping-1-\xe9"):
        kamailio.message.call_id = call_id
        reply.route(worker)
        assert kamailio.dropped
    assert "nat_pongs" not in kamailio.counts
    assert not [key for table, key in kamailio.tables if table == "pongs"]


def test_one_address_has_only_so_many_flows(make_worker: MakeWorker, kamailio: FakeKsr) -> None:
    worker = make_worker(proxy={"authenticate": False, "source_requests_per_s_max": 1})
    for port in range(1_024, 1_024 + 2 * FLOWS_FOR_A_REQUEST):
        kamailio.message.source = ("198.51.100.1", port)
        registrar.register(worker)
    assert len(_pinged(worker, kamailio)) == FLOWS_FOR_A_REQUEST
    assert kamailio.counts["sources_full"] == FLOWS_FOR_A_REQUEST
    assert kamailio.done.count(200) == 2 * FLOWS_FOR_A_REQUEST


def test_answers_are_counted_and_go_no_further(worker: Worker, kamailio: FakeKsr) -> None:
    registrar.register(worker)
    due = PingRound(ROUND_S)
    _pinged(worker, kamailio, due)
    _answer_ping(kamailio)
    reply.route(worker)
    assert kamailio.dropped
    assert kamailio.counts["nat_pongs"] == 1
    _pinged(worker, kamailio, due)
    assert "nat_silent" not in kamailio.counts
    del kamailio.tables["pongs", ADDRESS]
    assert len(_pinged(worker, kamailio, due)) == 1, "who is silent is pinged on"
    assert kamailio.counts["nat_silent"] == 1


def test_a_kamailio_that_starts_again_goes_on_at_once(
    worker: Worker, kamailio: FakeKsr, tmp_path: Path
) -> None:
    node = replace(worker.settings.config.node, run_dir=str(tmp_path))
    config = replace(worker.settings.config, node=node)
    worker.settings = Settings.from_config(config, worker.settings.route_key)
    registrar.register(worker)
    due = PingRound(ROUND_S)
    assert _pinged(worker, kamailio, due)
    pings.tick(worker, due)

    before = dict(kamailio.tables)
    kamailio.tables.clear()
    kamailio.sent.clear()
    again = PingRound(ROUND_S)
    pings.tick(worker, again)
    assert [uri for uri, _ in kamailio.sent] == [f"sip:{ADDRESS};transport=udp"]
    assert kamailio.tables == before
    assert _pinged(worker, kamailio, again), "and on, round by round"

    kamailio.tables.clear()
    began_s = worker.clock()
    worker.clock = lambda: began_s + 3_601
    assert _pinged(worker, kamailio) == [], "but no longer than they are bound"


def test_other_answers_to_options_go_on(worker: Worker, kamailio: FakeKsr) -> None:
    message = kamailio.message
    message.method, message.status, message.call_id = "OPTIONS", 200, "nat-ping-1"
    message.vias = 2
    reply.route(worker)
    message.vias, message.call_id = 1, "call-1"
    reply.route(worker)
    assert not kamailio.dropped


def test_an_ipv6_phone(worker: Worker, kamailio: FakeKsr) -> None:
    text = pings.options_request(worker.settings, "[2001:db8::1]:5060", "sip:a@h?x=y", "0" * 32)
    assert text.startswith("OPTIONS sip:a@h SIP/2.0\r\n")
    assert 0 <= slice_of("[2001:db8::1]:5060", ROUND_S) < ROUND_S
