"""What a node that is behind refuses, and what it never refuses."""

import pytest

from overlay.records.settings import Emergency, FarmSettings, Gateway, Trunk
from overlay.records.targets import Target
from proxy import counters
from proxy.load import Backlog, Load
from proxy.routes import request, shed
from proxy.trunk_choice import TrunkTable
from proxy.worker import Worker
from tests.unit.proxy.conftest import FakeDaemon, MakeWorker, answer_to
from tests.unit.proxy.fake_ksr import FakeKsr


class Waiting:
    """A socket whose memory is taken by so much."""

    def __init__(self, filled: float) -> None:
        self.filled = filled

    def look(self) -> Backlog:
        return Backlog(delay_s=0.0, filled=self.filled)


def behind(worker: Worker, share: float) -> None:
    worker.load = Load([Waiting(0.5 + share / 2)], 0.1, worker.clock)


def test_new_requests_are_told_when_to_come_back(worker: Worker, kamailio: FakeKsr) -> None:
    behind(worker, 1.0)
    request.route(worker)
    assert (kamailio.done, kamailio.counts) == ([503], {counters.SHED: 1})
    assert kamailio.reply_fields[0].startswith("Retry-After: ")


def test_a_node_that_is_not_behind_takes_all(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(Target(uri="sip:bob@192.0.2.20"))
    request.route(worker)
    assert kamailio.done[-1] == "forward"


def test_phones_register_while_others_are_refused(worker: Worker, kamailio: FakeKsr) -> None:
    behind(worker, 0.5)
    assert not shed.pass_load(worker, "INVITE")
    assert shed.pass_load(worker, "REGISTER")
    behind(worker, 1.0)
    assert not shed.pass_load(worker, "REGISTER")


def test_who_answers_a_challenge_goes_before_the_rest(worker: Worker, kamailio: FakeKsr) -> None:
    behind(worker, 0.5)
    answer_to(kamailio)
    assert shed.pass_load(worker, "INVITE")


def test_what_rings_already_goes_on_when_it_is_repeated(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(Target(uri="sip:bob@192.0.2.20"))
    request.route(worker)
    behind(worker, 1.0)
    kamailio.message.request_uri = "sip:bob@farm.test"
    request.route(worker)
    assert kamailio.done.count("forward") == 2


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_what_ends_something_is_not_refused(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, method: str
) -> None:
    daemon.located(Target(uri="sip:bob@192.0.2.20"))
    request.route(worker)
    behind(worker, 1.0)
    kamailio.next_message(method)
    request.route(worker)
    assert kamailio.done == ["forward"]
    assert counters.SHED not in kamailio.counts


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_what_ends_nothing_that_this_node_knows_is(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, method: str
) -> None:
    daemon.located(Target(uri="sip:bob@192.0.2.20"))
    behind(worker, 1.0)
    kamailio.message.method = method
    request.route(worker)
    assert "forward" not in kamailio.done
    assert daemon.asked == []
    assert kamailio.counts == {counters.SHED: 1}


def test_emergency_calls_are_taken(make_worker: MakeWorker, kamailio: FakeKsr) -> None:
    worker = make_worker()
    rescue = Trunk(name="rescue", prefixes=(), gateways=(Gateway(host="192.0.2.61"),))
    farm = FarmSettings(trunks=(rescue,), emergency=Emergency(trunks=("rescue",)))
    worker.shown._table = TrunkTable.of(farm)
    behind(worker, 1.0)
    kamailio.message.request_uri = "sip:112@farm.test"
    assert shed.pass_load(worker, "INVITE")
    kamailio.message.request_uri = "sip:bob@farm.test"
    assert not shed.pass_load(worker, "INVITE")


def test_the_share_is_kept_to_and_falls_on_others_in_turn() -> None:
    def first_half(now_s: float) -> set[int]:
        return {n for n in range(4000) if shed.place_of(f"call {n}", now_s) < 0.5}

    assert 1900 < len(first_half(0)) < 2100
    assert first_half(0) == first_half(shed.SAME_FOR_S - 1), "a repeated request is treated alike"
    assert 900 < len(first_half(0) & first_half(shed.SAME_FOR_S)) < 1100
    assert all(0.0 <= shed.place_of(f"call {n}", 0) < 1.0 for n in range(4000))


def test_half_the_rest_is_refused_at_a_quarter_and_nobody_who_goes_before(
    worker: Worker, kamailio: FakeKsr
) -> None:
    def refused(method: str, share: float) -> int:
        behind(worker, share)
        found = 0
        for number in range(1000):
            kamailio.message.call_id = f"call {number}"
            found += not shed.pass_load(worker, method)
        return found

    assert 400 < refused("INVITE", 0.25) < 600
    assert refused("INVITE", 0.5) == 1000
    assert refused("REGISTER", 0.5) == 0
    assert 400 < refused("REGISTER", 0.75) < 600
    assert refused("REGISTER", 1.0) == 1000
