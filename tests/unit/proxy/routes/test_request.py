"""The checklist of a request: which senders may send what, and where."""

import pytest

from overlay.control.proxy_messages import Authenticate, Locate
from overlay.records.targets import CachedTargets, Reach, Target, encode_cached
from proxy import counters
from proxy.routes import request
from proxy.worker import Worker
from tests.unit.proxy.conftest import FakeDaemon, MakeWorker, answer_to, secrets_of
from tests.unit.proxy.fake_ksr import FakeKsr

BOB = Target(uri="sip:bob@192.0.2.20:5060")


def test_a_call_to_a_subscriber_goes_to_his_phone(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(BOB)
    request.route(worker)
    assert kamailio.message.request_uri == BOB.uri
    assert kamailio.done == ["forward"]
    assert kamailio.inserted[0] == "Session-Expires: 1800\r\n"
    assert kamailio.inserted[1].startswith("Record-Route: <sip:farm.test;lr;s=")
    assert ";t=" not in kamailio.inserted[1]
    assert kamailio.counts == {counters.LOOKUPS_COLD: 1}


def test_a_caller_who_understands_timers_is_remembered_in_the_route(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(BOB)
    kamailio.message.fields["Supported"] = ["100rel", "timer, path"]
    kamailio.message.fields["Min-SE"] = ["2400"]
    request.route(worker)
    assert kamailio.inserted[0] == "Session-Expires: 2400\r\n"
    assert ";t=2400;" in kamailio.inserted[1]


def test_too_short_a_session_is_refused_with_the_smallest(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(BOB)
    kamailio.message.fields |= {"Session-Expires": ["30;refresher=uac"], "Supported": ["timer"]}
    request.route(worker)
    assert kamailio.done == [422]
    assert kamailio.reply_fields == ["Min-SE: 90\r\n"]
    assert kamailio.counts == {counters.SESSIONS_TOO_SHORT: 1}


def test_a_hot_lookup_asks_nobody(worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    cached = CachedTargets(until_ms=2**40, targets=(BOB,))
    kamailio.redis["l:bob@farm.test"] = encode_cached(cached).decode()
    request.route(worker)
    assert kamailio.done == ["forward"]
    assert daemon.asked == []


@pytest.mark.parametrize("user", ["b%6Fb", "bob"])
def test_the_user_is_unescaped_for_the_lookup(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, user: str
) -> None:
    kamailio.message.request_uri = f"sip:{user}@FARM.test:5060"
    request.route(worker)
    (asked,) = daemon.asked
    assert isinstance(asked, Locate)
    assert asked.aor == "bob@farm.test"


@pytest.mark.parametrize(("reach", "code"), [(Reach.UNKNOWN, 404), (Reach.OFFLINE, 480)])
def test_nobody_there(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, reach: Reach, code: int
) -> None:
    daemon.located(reach=reach)
    request.route(worker)
    assert kamailio.done == [code]


def test_no_answer_in_time_is_silence_on_udp(worker: Worker, kamailio: FakeKsr) -> None:
    request.route(worker)
    assert kamailio.done == []
    assert kamailio.counts[counters.DROPPED_FOR_RETRY] == 1


def test_no_answer_in_time_is_503_on_a_connection(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.protocol = "tcp"
    request.route(worker)
    assert kamailio.done == [503]
    assert kamailio.reply_fields[0].startswith("Retry-After: ")


def test_no_hops_left(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.hops = -1
    request.route(worker)
    assert kamailio.done == [483]


def test_a_max_forwards_that_is_no_number(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.hops = -2
    request.route(worker)
    assert kamailio.done == [400]


def test_a_malformed_request_is_answered_by_kamailio(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.sane = False
    request.route(worker)
    assert kamailio.done == []
    assert kamailio.counts == {counters.MALFORMED: 1}


def test_a_scanner_gets_no_answer(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.user_agent = "Friendly-Scanner 1.0"
    request.route(worker)
    assert kamailio.done == []
    assert kamailio.counts == {counters.SCANNERS: 1}


@pytest.mark.parametrize(
    ("method", "code"), [("OPTIONS", 200), ("INVITE", 404), ("MESSAGE", 404), ("PUBLISH", 405)]
)
def test_requests_to_the_farm_itself(
    worker: Worker, kamailio: FakeKsr, method: str, code: int
) -> None:
    kamailio.message.method = method
    kamailio.message.request_uri = "sip:farm.test"
    request.route(worker)
    assert kamailio.done == [code]


def test_the_daemon_of_the_node_is_answered_before_all_else(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    kamailio.message.method = "OPTIONS"
    kamailio.message.request_uri = "sip:192.0.2.1:5060;transport=udp"
    kamailio.message.user_agent = "sipvicious"
    kamailio.message.source = ("192.0.2.1", 40_000)
    request.route(worker)
    assert kamailio.done == [200]
    assert kamailio.counts == {}


@pytest.mark.parametrize(
    ("source", "uri"), [("192.0.2.10", "192.0.2.1"), ("192.0.2.1", "example.org")]
)
def test_nobody_else_is_taken_for_it(
    worker: Worker, kamailio: FakeKsr, source: str, uri: str
) -> None:
    kamailio.message.method = "OPTIONS"
    kamailio.message.request_uri = f"sip:{uri}"
    kamailio.message.user_agent = "sipvicious"
    kamailio.message.source = (source, 40_000)
    request.route(worker)
    assert kamailio.done == []


def test_nobody_is_relayed_to_elsewhere(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.request_uri = "sip:bob@example.org"
    request.route(worker)
    assert kamailio.done == [403]
    assert kamailio.counts == {counters.RELAY_REFUSED: 1}


def test_a_stranger_may_call_a_subscriber(
    make_worker: MakeWorker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(BOB)
    kamailio.message.from_uri = "sip:eve@example.org"
    request.route(make_worker(proxy={"authenticate": True}))
    assert kamailio.done == ["forward"]


def test_a_stranger_may_not_be_relayed(make_worker: MakeWorker, kamailio: FakeKsr) -> None:
    kamailio.message.from_uri = "sip:eve@example.org"
    kamailio.message.request_uri = "sip:bob@example.net"
    request.route(make_worker(proxy={"authenticate": True}))
    assert kamailio.done == [403]


def test_a_subscriber_must_prove_who_he_is(make_worker: MakeWorker, kamailio: FakeKsr) -> None:
    request.route(make_worker(proxy={"authenticate": True}))
    assert kamailio.done == [407]


def test_a_subscriber_who_did_may_call_elsewhere_and_shows_it_to_nobody(
    make_worker: MakeWorker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[Authenticate] = secrets_of("alice")
    kamailio.message.request_uri = "sip:bob@example.org"
    proof = answer_to(kamailio)
    kamailio.message.fields["Proxy-Authorization"] = ['Digest realm="example.org"', proof]
    request.route(make_worker(proxy={"authenticate": True}))
    removed = ("removed", "Proxy-Authorization", 1)
    assert kamailio.done == [removed, "forward"]
    assert kamailio.message.request_uri == "sip:bob@example.org"


def test_a_preloaded_route_to_the_farm_is_taken_off(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(BOB)
    kamailio.message.fields["Route"] = ["<sip:farm.test;lr>"]
    request.route(worker)
    assert kamailio.done == ["loose_route", "forward"]


def test_a_preloaded_route_to_elsewhere_is_refused(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.fields["Route"] = ["<sip:farm.test;lr>", "<sip:example.org;lr>"]
    request.route(worker)
    assert kamailio.done == ["loose_route", 403]


def test_a_to_tag_and_a_forged_route_do_not_open_the_relay(
    worker: Worker, kamailio: FakeKsr
) -> None:
    kamailio.message.to_tag = "tt"
    kamailio.message.request_uri = "sip:bob@example.org"
    kamailio.message.fields["Route"] = ["<sip:farm.test;lr;s=000000000000000000000000>"]
    request.route(worker)
    assert kamailio.done == [481]


def test_a_stray_ack_is_absorbed(worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    daemon.located(reach=Reach.UNKNOWN)
    kamailio.message.method = "ACK"
    for to_tag in ("tt", ""):
        kamailio.message.to_tag = to_tag
        request.route(worker)
    assert kamailio.done == []


def test_a_user_with_a_nul_is_nobody(worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    kamailio.message.request_uri = "sip:b%00b@farm.test"
    request.route(worker)
    assert kamailio.done == [404]
    assert daemon.asked == []


@pytest.mark.parametrize(("protocol", "asked"), [("udp", False), ("tls", False), ("wss", True)])
def test_answers_to_browsers_go_where_the_request_came_from(
    worker: Worker, kamailio: FakeKsr, protocol: str, asked: bool
) -> None:
    kamailio.message.protocol = protocol
    request.route(worker)
    assert ("rport" in kamailio.done) is asked


FORGED = "<sip:farm.test;lr;s=000000000000000000000000>"


@pytest.mark.parametrize(
    ("method", "to_tag", "route"),
    [
        ("BYE", "tt", FORGED),
        ("INVITE", "tt", FORGED),
        ("BYE", "tt", None),
        ("INVITE", "", "<sip:n1.farm.test;lr;f=n1~udp~192.0.2.20~5060;s=000000000000000000000000>"),
        ("ACK", "tt", FORGED),
        ("ACK", "", None),
        ("CANCEL", "", None),
    ],
)
def test_what_has_no_good_signature_is_a_strangers(
    worker: Worker,
    kamailio: FakeKsr,
    daemon: FakeDaemon,
    method: str,
    to_tag: str,
    route: str | None,
) -> None:
    message = kamailio.message
    message.method, message.to_tag = method, to_tag
    message.fields["Route"] = [route] if route else []
    kamailio.flooded = True
    request.route(worker)
    assert kamailio.done == []
    assert daemon.asked == []
    assert kamailio.counts == {counters.FLOODS: 1}


def test_who_floods_gets_no_answer(worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    daemon.located(BOB)
    kamailio.flooded = True
    request.route(worker)
    assert (kamailio.done, kamailio.counts) == ([], {counters.FLOODS: 1})
    assert daemon.asked == []


@pytest.mark.parametrize(
    "settings", [{"trusted_peers": ["192.0.2.0/24"]}, {"source_requests_per_s_max": 0}]
)
def test_a_trusted_peer_may_send_as_much_as_it_likes(
    make_worker: MakeWorker, kamailio: FakeKsr, daemon: FakeDaemon, settings: dict[str, object]
) -> None:
    daemon.located(BOB)
    kamailio.flooded = True
    request.route(make_worker(proxy={"authenticate": False, **settings}))
    assert kamailio.done == ["forward"]
