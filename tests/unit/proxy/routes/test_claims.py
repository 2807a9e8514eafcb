"""Calls at a time: claimed before the INVITE goes on, released by any worker that sees it fail."""

import pytest

from overlay.control.control_protocol import ControlRequest, Done, Refused
from overlay.control.proxy_messages import (
    Authenticate,
    CallClaimed,
    ClaimCall,
    ReleaseCall,
    WriteEvent,
    Written,
)
from overlay.records.settings import Emergency, FarmSettings, Gateway, Trunk
from overlay.records.subscriber import Policy
from overlay.records.targets import Reach, Target
from proxy import counters
from proxy.routes import fork, reply, request, trunks
from proxy.trunk_choice import TrunkTable
from proxy.worker import Worker
from tests.unit.proxy.conftest import FakeDaemon, MakeWorker, answer_to, secrets_of
from tests.unit.proxy.fake_ksr import FakeKsr

BOB = Target(uri="sip:bob@192.0.2.20:5060")
ALSO_BOB = Target(uri="sip:bob@192.0.2.21:5060")
NORTH = Trunk(name="north", prefixes=("+49",), gateways=(Gateway(host="192.0.2.51"),))
CLAIM = ClaimCall(aor="alice@farm.test", call_id="call-1", from_tag="ft", cseq=1, calls_max=2)
RELEASE = ReleaseCall(aor="alice@farm.test", call_id="call-1", from_tag="ft", cseq=1)


@pytest.fixture
def farm(make_worker: MakeWorker, daemon: FakeDaemon) -> Worker:
    """A farm in which alice may make two calls at a time."""
    worker = make_worker(proxy={"authenticate": True})
    daemon.answers[Authenticate] = secrets_of("alice", Policy(calls_max=2))
    daemon.answers[ClaimCall] = CallClaimed(id=1, granted=True, calls=1)
    daemon.answers[ReleaseCall] = Done(id=1)
    daemon.answers[WriteEvent] = Written(id=1, level="quorum")
    daemon.located(BOB)
    return worker


def call(worker: Worker, kamailio: FakeKsr) -> list[object]:
    """What is done with alice's INVITE."""
    kamailio.done.clear()
    answer_to(kamailio)
    request.route(worker)
    return kamailio.done


def asked(daemon: FakeDaemon) -> list[ControlRequest]:
    """Of claims, since it was last asked."""
    found = [each for each in daemon.asked if isinstance(each, ClaimCall | ReleaseCall)]
    daemon.asked.clear()
    return found


def answered(worker: Worker, kamailio: FakeKsr, status: int) -> None:
    """The callee says this."""
    worker.call_claimed = False
    kamailio.message.status, kamailio.message.to_tag = status, "tt"
    reply.route(worker)


def test_a_call_is_claimed_and_goes_on(farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    assert call(farm, kamailio)[-1] == "forward"
    assert asked(daemon) == [CLAIM]


def test_one_too_many_is_403_and_says_why(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[ClaimCall] = CallClaimed(id=1, granted=False, calls=2)
    assert call(farm, kamailio) == [403]
    assert "at a time" in kamailio.reply_fields[-1]
    assert kamailio.counts[counters.POLICY_CALLS] == 1
    assert asked(daemon) == [CLAIM], "and nothing to release"
    assert not [key for key in kamailio.tables if key[0] == "claims"]
    call(farm, kamailio)
    assert asked(daemon) == [CLAIM], "its retransmission is no call that passed"


def test_where_nobody_can_say_the_call_passes(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[ClaimCall] = Refused(id=1, code="unavailable", reason="no replica")
    assert call(farm, kamailio)[-1] == "forward"
    assert kamailio.counts[counters.CLAIMS_FAILED] == 1
    assert not farm.call_claimed


def test_without_a_limit_nobody_is_asked(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[Authenticate] = secrets_of("alice")
    assert call(farm, kamailio)[-1] == "forward"
    answered(farm, kamailio, 486)
    assert asked(daemon) == []


@pytest.mark.parametrize("method", ["MESSAGE", "OPTIONS", "SUBSCRIBE"])
def test_only_calls_are_claimed(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon, method: str
) -> None:
    kamailio.message.method = method
    call(farm, kamailio)
    assert asked(daemon) == []


def test_a_retransmission_is_not_claimed_again_but_released(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    call(farm, kamailio)
    farm.call_claimed = False
    kamailio.message.request_uri = "sip:bob@farm.test"
    daemon.located(reach=Reach.OFFLINE)
    request.route(farm)
    assert kamailio.done[-1] == 480
    assert asked(daemon) == [CLAIM, RELEASE]


@pytest.mark.parametrize("status", [302, 407, 486, 487, 503, 603])
def test_a_refusal_releases_once(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon, status: int
) -> None:
    call(farm, kamailio)
    answered(farm, kamailio, 180)
    assert asked(daemon) == [CLAIM]
    for _ in range(2):
        answered(farm, kamailio, status)
    assert asked(daemon) == [RELEASE]


def test_a_refused_reinvite_releases_nothing(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    call(farm, kamailio)
    answered(farm, kamailio, 200)
    answered(farm, kamailio, 488)
    kamailio.message.cseq = 2
    answered(farm, kamailio, 488)
    assert asked(daemon) == [CLAIM]


@pytest.mark.parametrize("reach", [Reach.OFFLINE, Reach.UNKNOWN])
def test_what_the_farm_refuses_itself_is_released(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon, reach: Reach
) -> None:
    daemon.located(reach=reach)
    assert call(farm, kamailio)[-1] in (404, 480)
    assert asked(daemon) == [CLAIM, RELEASE]


def test_a_fork_is_released_when_all_have_refused(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(BOB, ALSO_BOB)
    assert call(farm, kamailio)[-1] == "t_relay"
    assert kamailio.failure_routes == ["ksr_failure_route"]
    answered(farm, kamailio, 486)
    assert asked(daemon) == [CLAIM], "the other one rings"
    kamailio.done.clear()
    kamailio.message.status = 408
    fork.end_or_try_next_group(farm)
    assert asked(daemon) == [RELEASE]
    assert kamailio.done == [], "the answer is for the caller as it is"


def test_a_group_that_failed_leaves_the_call_to_the_next_one(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(Target(uri=BOB.uri, q=900), Target(uri=ALSO_BOB.uri, q=100))
    call(farm, kamailio)
    kamailio.message.status = 486
    fork.end_or_try_next_group(farm)
    assert asked(daemon) == [CLAIM]
    fork.end_or_try_next_group(farm)
    assert asked(daemon) == [RELEASE]


def test_a_call_from_a_connection_to_udp_is_watched(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    kamailio.message.protocol = "tcp"
    assert call(farm, kamailio)[-1] == "t_relay"
    assert kamailio.failure_routes == ["ksr_failure_route"]
    answered(farm, kamailio, 486)
    assert asked(daemon) == [CLAIM]
    fork.end_or_try_next_group(farm)
    assert asked(daemon) == [RELEASE]


def test_a_carriers_refusal_releases_and_emergency_calls_are_not_counted(
    farm: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    emergency = Emergency(trunks=("north",))
    farm.shown._table = TrunkTable.of(FarmSettings(trunks=(NORTH,), emergency=emergency))
    daemon.located(reach=Reach.UNKNOWN)
    for canceled in (False, True):
        kamailio.message.request_uri = "sip:+4930123@farm.test"
        assert call(farm, kamailio)[-1] == "t_relay"
        assert asked(daemon) == [CLAIM]
        kamailio.canceled, kamailio.message.status = canceled, 486
        trunks.try_next_gateway(farm)
        assert asked(daemon) == [RELEASE]
    kamailio.message.request_uri = "sip:112@farm.test"
    daemon.answers[ClaimCall] = CallClaimed(id=1, granted=False)
    assert call(farm, kamailio)[-1] == "t_relay"
    assert asked(daemon) == []
