"""Which session descriptions go through a relay, and how."""

from types import SimpleNamespace

import pytest

from overlay.control.proxy_messages import WriteEvent, Written
from overlay.records.targets import Target
from proxy import counters, route_token
from proxy.route_token import Flow
from proxy.routes import media, reply, request
from proxy.worker import Worker
from tests.unit.proxy.conftest import KEY, FakeDaemon, MakeWorker
from tests.unit.proxy.fake_ksr import FakeKsr

PHONE = "sip:bob@192.0.2.20:5060"


class Relay:
    """rtpengine, and whether messages have a body for it."""

    def __init__(self, kamailio: FakeKsr) -> None:
        self.asked: list[tuple[str, str]] = []
        self.healthy, self.body = True, True
        kamailio.rtpengine = SimpleNamespace(  # type: ignore[attr-defined]
            **{
                f"rtpengine_{name}": lambda flags, name=name: self._asked(name, flags)
                for name in ("offer", "answer", "delete")
            }
        )
        kamailio.textops.has_body_type = lambda _type: 1 if self.body else -1

    def _asked(self, name: str, flags: str) -> int:
        self.asked.append((name, flags))
        return 1 if self.healthy else -1

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


@pytest.fixture
def relay(kamailio: FakeKsr) -> Relay:
    return Relay(kamailio)


@pytest.fixture
def worker(make_worker: MakeWorker, daemon: FakeDaemon) -> Worker:
    daemon.located(Target(uri=PHONE))
    daemon.answers[WriteEvent] = Written(id=1, level="quorum")
    return make_worker(media={"relays": ["udp:192.0.2.7:2223"]})


def _invite(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.method, kamailio.message.request_uri = "INVITE", "sip:bob@farm.test"
    request.route(worker)


def _in_dialog(worker: Worker, kamailio: FakeKsr, method: str, flow: Flow | None = None) -> None:
    message = kamailio.message
    message.method, message.request_uri = method, PHONE
    message.from_tag, message.to_tag = "ft", "tt"
    uri = (
        "sip:farm.test;lr;"
        + route_token.write_record_route(KEY, "call-1", "ft", None, flow)
        + ";m=1"
    )
    message.fields["Route"] = [f"<{uri}>"]
    request.route(worker)


def _answered(worker: Worker, kamailio: FakeKsr, status: int) -> None:
    kamailio.message.method, kamailio.message.status = "INVITE", status
    reply.route(worker)


def test_without_relays_nobody_is_asked(make_worker: MakeWorker, kamailio: FakeKsr) -> None:
    assert media.pass_offer(make_worker(), "INVITE", "udp")
    media.answered(make_worker(), "INVITE", 200)
    media.end(make_worker())


def test_a_call_has_its_offer_and_answer_and_end(
    worker: Worker, kamailio: FakeKsr, relay: Relay
) -> None:
    _invite(worker, kamailio)
    _answered(worker, kamailio, 183)
    _answered(worker, kamailio, 200)
    _in_dialog(worker, kamailio, "BYE")
    assert relay.names == ["offer", "answer", "answer", "delete"]
    assert all("loop-protect" in flags for name, flags in relay.asked if name != "delete")
    assert kamailio.counts[counters.MEDIA_RELAYED] == 3


def test_a_late_offer_is_in_the_2xx_and_its_answer_in_the_ack(
    worker: Worker, kamailio: FakeKsr, relay: Relay
) -> None:
    relay.body = False
    _invite(worker, kamailio)
    relay.body = True
    _answered(worker, kamailio, 200)
    _in_dialog(worker, kamailio, "ACK")
    assert relay.names == ["offer", "answer"]


def test_a_session_is_changed_inside_the_dialog(
    worker: Worker, kamailio: FakeKsr, relay: Relay
) -> None:
    for method in ("INVITE", "UPDATE", "INFO"):
        _in_dialog(worker, kamailio, method)
    assert relay.names == ["offer", "offer"]


def test_what_has_no_session_is_left_alone(worker: Worker, kamailio: FakeKsr, relay: Relay) -> None:
    relay.body = False
    _answered(worker, kamailio, 180)
    _answered(worker, kamailio, 200)
    kamailio.message.method = "MESSAGE"
    request.route(worker)
    assert relay.asked == []


@pytest.mark.parametrize(
    ("comes", "goes", "wanted"),
    [
        ("udp", "udp", "ICE=remove"),
        ("tls", "tcp", "ICE=remove"),
        ("wss", "udp", "RTP/AVP"),
        ("udp", "ws", "RTP/SAVPF"),
        ("ws", "wss", "ICE=force"),
    ],
)
def test_browsers_and_phones_are_offered_what_they_know(
    worker: Worker, kamailio: FakeKsr, relay: Relay, comes: str, goes: str, wanted: str
) -> None:
    kamailio.message.protocol = comes
    _in_dialog(worker, kamailio, "INVITE", Flow("n1", goes, "192.0.2.20", 5060))
    ((name, flags),) = relay.asked
    assert (name, wanted in flags) == ("offer", True)


def test_a_call_without_a_relay_stays_without(
    worker: Worker, kamailio: FakeKsr, relay: Relay
) -> None:
    relay.healthy = False
    _invite(worker, kamailio)
    assert ";m=1" not in "".join(kamailio.inserted)
    relay.asked.clear()
    _answered(worker, kamailio, 200)
    _answered(worker, kamailio, 486)
    message = kamailio.message
    message.method, message.request_uri, message.to_tag = "BYE", PHONE, "tt"
    uri = "sip:farm.test;lr;" + route_token.write_record_route(KEY, "call-1", "ft", None, None)
    message.fields["Route"] = [f"<{uri}>"]
    request.route(worker)
    assert relay.asked == []


def test_the_record_route_tells_that_a_call_has_a_relay(
    worker: Worker, kamailio: FakeKsr, relay: Relay
) -> None:
    _invite(worker, kamailio)
    assert ";m=1" in "".join(kamailio.inserted)
    assert relay.names == ["offer"]


@pytest.mark.parametrize(
    ("contact", "came_on", "target", "relayed"),
    [
        ("192.0.2.10", "udp", Target(uri=PHONE), False),
        ("192.168.1.5", "udp", Target(uri=PHONE), True),
        ("192.0.2.10", "tcp", Target(uri=PHONE), False),
        (
            "192.0.2.10",
            "udp",
            Target(
                uri="sip:bob@10.0.0.2:5060",
                received="sip:192.0.2.20:1024;transport=udp",
                owner="n1",
            ),
            True,
        ),
        (
            "192.0.2.10",
            "udp",
            Target(uri=PHONE, received="sip:192.0.2.20:1024;transport=tcp", owner="n1"),
            False,
        ),
        ("x.invalid", "wss", Target(uri=PHONE), True),
    ],
)
def test_only_phones_behind_a_nat_have_a_relay_where_that_is_the_policy(
    make_worker: MakeWorker,
    daemon: FakeDaemon,
    kamailio: FakeKsr,
    relay: Relay,
    contact: str,
    came_on: str,
    target: Target,
    relayed: bool,
) -> None:
    daemon.located(target)
    worker = make_worker(media={"relays": ["udp:192.0.2.7:2223"], "policy": "nat"})
    kamailio.message.protocol = came_on
    kamailio.message.fields["Contact"] = [f"<sip:alice@{contact}:5060>"]
    _invite(worker, kamailio)
    assert relay.names == (["offer"] if relayed else [])


def test_relays_that_are_all_silent_are_left_alone_for_a_while(
    worker: Worker, kamailio: FakeKsr, relay: Relay
) -> None:
    now_s = 100.0
    relay.healthy = False
    worker.clock = lambda: now_s
    assert media.pass_offer(worker, "INVITE", "udp")
    assert media.pass_offer(worker, "INVITE", "udp")
    assert relay.names == ["offer", "offer"], "refused at once: a matter of this call"

    def wait(_flags: str) -> int:
        nonlocal now_s
        now_s += 0.15
        return -1

    kamailio.ksr.rtpengine.rtpengine_offer = wait  # type: ignore[method-assign]
    assert media.pass_offer(worker, "INVITE", "udp")
    spent_s = now_s
    assert media.pass_offer(worker, "INVITE", "udp")
    assert now_s == spent_s
    now_s += media.OUT_S
    assert media.pass_offer(worker, "INVITE", "udp")
    assert now_s > spent_s + media.OUT_S


def test_a_refused_call_frees_its_ports(worker: Worker, kamailio: FakeKsr, relay: Relay) -> None:
    _invite(worker, kamailio)
    _answered(worker, kamailio, 486)
    assert relay.names == ["offer", "delete"]


def test_without_a_healthy_relay_calls_pass_or_are_refused(
    worker: Worker, make_worker: MakeWorker, kamailio: FakeKsr, relay: Relay
) -> None:
    relay.healthy = False
    _invite(worker, kamailio)
    assert kamailio.done == ["forward"]
    assert kamailio.counts[counters.MEDIA_FAILED] == 1
    strict = make_worker(media={"relays": ["udp:192.0.2.7:2223"], "when_unavailable": "refuse"})
    _invite(strict, kamailio)
    assert kamailio.done[-1] == 503
