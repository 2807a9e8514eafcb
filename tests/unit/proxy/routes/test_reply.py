"""Replies: a call starts only after its event is safe."""

import time

import pytest

from overlay.base.limits import HEADER_CHARS_MAX
from overlay.control.proxy_messages import WriteEvent, Written
from overlay.records.call import EventKind, event_id
from overlay.records.targets import Target
from proxy import counters, route_token
from proxy.routes import call_events, relay, reply, request
from proxy.worker import Worker
from tests.unit.proxy.conftest import KEY, Clock, FakeDaemon, MakeWorker
from tests.unit.proxy.fake_ksr import FakeKsr


@pytest.fixture(autouse=True)
def _answered(kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    daemon.answers[WriteEvent] = Written(id=1, level="quorum")
    message = kamailio.message
    message.status, message.to_tag, message.source = 200, "tt", ("192.0.2.20", 5060)
    uri = "sip:farm.test;lr;" + route_token.write_record_route(KEY, "call-1", "ft", None, None)
    message.fields = {
        "Record-Route": ["<sip:example.org;lr>", f"<sip:x;lr>, <{uri}>"],
        "Contact": ['"Bob" <sip:bob@192.0.2.20>;x=y'],
    }


def test_the_start_is_written_before_the_200_goes_on(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    reply.route(worker)
    (asked,) = daemon.asked
    assert isinstance(asked, WriteEvent)
    event = asked.event
    assert event.kind is EventKind.START
    assert event.event_id == event_id(EventKind.START, "call-1", "ft", "tt")
    assert (event.call_id, event.from_tag, event.to_tag) == ("call-1", "ft", "tt")
    assert (event.from_uri, event.to_uri) == ("sip:alice@farm.test", "sip:bob@farm.test")
    assert (event.code, event.contact) == (200, "sip:bob@192.0.2.20")
    assert event.source == "192.0.2.20:5060"
    assert not kamailio.dropped
    assert kamailio.counts == {counters.EVENTS_WRITTEN: 1}


def test_a_200_whose_event_is_not_safe_is_dropped_until_it_is(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, clock: Clock
) -> None:
    written = daemon.answers.pop(WriteEvent)
    reply.route(worker)
    assert kamailio.dropped
    assert kamailio.counts[counters.EVENTS_DROPPED] == 1
    daemon.answers[WriteEvent] = written
    kamailio.dropped = False
    clock.now_s += 1
    reply.route(worker)
    assert not kamailio.dropped


def test_an_answer_counts_from_its_first_arrival(
    make_worker: MakeWorker,
    kamailio: FakeKsr,
    daemon: FakeDaemon,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_us = 1_700_000_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now_us * 1000)
    written = daemon.answers.pop(WriteEvent)
    # Retransmissions come to any worker of the node.
    for _ in range(3):
        reply.route(make_worker())
        clock.now_s, now_us = clock.now_s + 1, now_us + 500_000
    daemon.answers[WriteEvent] = written
    reply.route(make_worker())
    kamailio.message.to_tag = "another"
    reply.route(make_worker())
    times = [asked.event.time_us for asked in daemon.asked if isinstance(asked, WriteEvent)]
    assert times == [*[1_700_000_000_000_000] * 4, now_us]


def test_a_retransmission_is_not_written_again(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    reply.route(worker)
    reply.route(worker)
    assert len(daemon.asked) == 1
    assert kamailio.counts[counters.EVENTS_REPEATED] == 1


@pytest.mark.parametrize(
    ("method", "status"), [("INVITE", 100), ("INVITE", 183), ("INVITE", 486), ("BYE", 200)]
)
def test_other_replies_are_left_alone(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, method: str, status: int
) -> None:
    kamailio.message.method, kamailio.message.status = method, status
    reply.route(worker)
    assert daemon.asked == []
    assert not kamailio.dropped


@pytest.mark.parametrize(
    "record_route", [[], ["<sip:farm.test;lr>"], ["<sip:farm.test;lr;s=00>"], ["junk <"]]
)
def test_an_answer_inside_a_dialog_starts_nothing(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, record_route: list[str]
) -> None:
    kamailio.message.fields["Record-Route"] = record_route
    reply.route(worker)
    assert daemon.asked == []
    assert not kamailio.dropped


def test_a_callee_who_leaves_out_the_record_route_is_billed_all_the_same(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    relay.to_targets(worker, "INVITE", (Target(uri="sip:bob@192.0.2.20"),))
    kamailio.message.fields["Record-Route"] = []
    reply.route(worker)
    assert len(daemon.asked) == 1
    assert kamailio.tables == {}


def test_without_billing_nothing_is_written(
    make_worker: MakeWorker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    reply.route(make_worker(billing={"enabled": False}))
    assert daemon.asked == []
    assert not kamailio.dropped


def test_bytes_that_are_not_utf8_do_not_get_past_billing(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    kamailio.spoil("$tu", b"sip:b\xf6b@farm.test")
    reply.route(worker)
    (asked,) = daemon.asked
    assert isinstance(asked, WriteEvent)
    assert asked.event.to_uri == "sip:b\ufffdb@farm.test"


def test_fields_are_bounded(worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    kamailio.message.user_agent = "x" * 100_000
    reply.route(worker)
    (asked,) = daemon.asked
    assert isinstance(asked, WriteEvent)
    assert len(asked.event.user_agent) == HEADER_CHARS_MAX


def test_a_callee_without_timers_leaves_the_refresh_to_the_caller(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    kamailio.message.fields["Record-Route"] = [
        each.replace(";lr;s=", ";lr;t=1800;s=") for each in kamailio.message.fields["Record-Route"]
    ]
    reply.route(worker)
    assert kamailio.inserted == [
        "Session-Expires: 1800;refresher=uac\r\n",
        "Require: timer\r\n",
    ]
    (asked,) = daemon.asked
    assert isinstance(asked, WriteEvent)
    assert asked.event.session_s == 1_800


def test_what_the_callee_says_of_the_session_holds(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    kamailio.message.fields["Session-Expires"] = ["600;refresher=uas"]
    reply.route(worker)
    assert kamailio.inserted == []
    (asked,) = daemon.asked
    assert isinstance(asked, WriteEvent)
    assert asked.event.session_s == 600


@pytest.mark.parametrize(("attempts", "written"), [(True, 1), (False, 0)])
def test_a_refusal_is_an_attempt_where_that_is_wanted(
    make_worker: MakeWorker,
    kamailio: FakeKsr,
    daemon: FakeDaemon,
    attempts: bool,
    written: int,
) -> None:
    worker = make_worker(billing={"attempts": attempts})
    daemon.located(Target(uri="sip:bob@192.0.2.20"))
    kamailio.message.to_tag = ""
    request.route(worker)
    daemon.asked.clear()
    kamailio.message.to_tag = "tt"
    for status in (180, 486, 486):
        kamailio.message.status = status
        reply.route(worker)
    events = [asked.event for asked in daemon.asked if isinstance(asked, WriteEvent)]
    assert [(event.kind, event.code) for event in events] == [(EventKind.ATTEMPT, 486)] * written
    assert not kamailio.dropped


def test_the_memory_of_written_events_is_bounded(worker: Worker, kamailio: FakeKsr) -> None:
    for number in range(call_events.REMEMBERED_MAX + 10):
        kamailio.message.to_tag = str(number)
        assert call_events.write_start(worker, "call-1", "ft", 0)
    assert len(worker.events_safe) == call_events.REMEMBERED_MAX


@pytest.mark.parametrize(("policy", "done"), [("refuse", [503]), ("serve", ["forward"])])
def test_new_calls_while_nothing_can_be_written(
    make_worker: MakeWorker,
    kamailio: FakeKsr,
    daemon: FakeDaemon,
    clock: Clock,
    policy: str,
    done: list[object],
) -> None:
    worker = make_worker(billing={"when_unwritable": policy})
    daemon.answers.clear()
    reply.route(worker)
    clock.now_s += 1
    daemon.located(Target(uri="sip:bob@192.0.2.20"))
    kamailio.message.to_tag = ""
    request.route(worker)
    assert kamailio.done == done
    kamailio.done.clear()
    kamailio.message.request_uri = "sip:bob@farm.test"
    clock.now_s += call_events.UNWRITABLE_S
    request.route(worker)
    assert kamailio.done == ["forward"]


def test_a_record_route_that_is_not_utf8_does_not_get_past_billing(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    def get_idx(_name: str, _index: int) -> str:
        return b"\xff".decode()

    relay.to_targets(worker, "INVITE", (Target(uri="sip:bob@192.0.2.20"),))
    kamailio.hdr.get_idx = get_idx
    reply.route(worker)
    assert len(daemon.asked) == 1


@pytest.mark.parametrize(
    ("method", "status", "stays"),
    [("INVITE", 180, False), ("INVITE", 486, False), ("UPDATE", 200, False), ("BYE", 200, True)],
)
def test_what_a_callee_says_that_he_is_goes_no_further(
    worker: Worker, kamailio: FakeKsr, method: str, status: int, stays: bool
) -> None:
    kamailio.message.method, kamailio.message.status = method, status
    kamailio.message.fields["P-Asserted-Identity"] = ["<sip:president@example.org>"]
    reply.route(worker)
    assert ("P-Asserted-Identity" in kamailio.message.fields) is stays
