"""Several targets, several flows of a device, and groups of phones one after the other."""

import msgspec
import pytest

from overlay.records.targets import Target
from proxy import counters
from proxy.routes import fork, large_requests, relay
from proxy.worker import Worker
from tests.unit.proxy.fake_ksr import FakeKsr

OLD = Target(uri="sip:bob@192.0.2.20:5060")
NEW = Target(uri="sip:bob@192.0.2.21:5060")
TCP = Target(uri="sip:bob@192.0.2.20;transport=tcp")
MINE = Target(uri="sip:bob@10.0.0.1", received="sip:198.51.100.1:99;transport=tcp", owner="n1")
THEIRS = Target(uri="sip:bob@10.0.0.1", received="sip:198.51.100.1:99;transport=udp", owner="n2")


def test_a_fork_is_a_transaction_with_a_record_route_on_each_branch(
    worker: Worker, kamailio: FakeKsr
) -> None:
    sent: list[str] = []

    def relay_branches() -> int:
        for kamailio.branch in (0, 1, 2):
            fork.prepare_branch(worker)
        sent.extend(kamailio.inserted)
        return 1

    kamailio.tm.t_relay = relay_branches
    relay.to_targets(worker, "INVITE", (OLD, THEIRS))
    assert kamailio.done == [("branch", THEIRS.uri)]
    breadths, routes = sent[::1], [text for text in sent if "Max-Breadth" not in text]
    assert [text for text in breadths if text not in routes] == ["Max-Breadth: 30\r\n"] * 2
    assert [text.partition(":")[0] for text in routes] == ["Record-Route", "Record-Route", "Route"]
    assert ";d=" not in routes[0]
    assert ";d=n2~udp~" in routes[1]
    assert worker.branches == ()
    kamailio.next_message("CANCEL")
    kamailio.tm.t_relay = lambda: kamailio.done.append("t_relay") or 1
    kamailio.transaction = 1
    assert relay.follow_pin(worker, "CANCEL")
    assert kamailio.done == ["t_relay"]


def test_a_callers_name_that_is_not_utf8_keeps_no_branch_from_its_phone(
    worker: Worker, kamailio: FakeKsr
) -> None:
    kamailio.spoil("$ct", b'"\xff" <sip:alice@192.0.2.10:5060>')
    worker.branches, worker.record_routed_tag = (OLD, NEW), "ft"
    fork.prepare_branch(worker)
    assert kamailio.inserted[-1].startswith("Record-Route: ")
    assert ";u=" not in kamailio.inserted[-1]


def test_the_retransmission_of_a_fork_is_absorbed(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.transaction = 0
    relay.to_targets(worker, "INVITE", (OLD, NEW))
    assert kamailio.done == []


def test_a_fork_that_came_far_is_a_loop(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.vias = fork.VIAS_MAX + 1
    relay.to_targets(worker, "INVITE", (OLD, NEW))
    assert kamailio.done == [482]


FLOWS = tuple(
    Target(uri="sip:bob@10.0.0.1", received=f"sip:198.51.100.1:{n};transport=tcp", owner=f"n{n}")
    for n in (1, 2, 3)
)

PHONE = msgspec.structs.replace(FLOWS[0], backups=FLOWS[1:])


def _fail(worker: Worker, kamailio: FakeKsr, branch: int, status: int) -> list[object]:
    kamailio.done.clear()
    kamailio.message.status, kamailio.branch = status, branch
    fork.try_next_flow(worker)
    return kamailio.done


def test_a_large_call_that_came_far_is_no_fork(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.vias = fork.VIAS_MAX + 1
    kamailio.message.length = 4_000
    relay.to_targets(worker, "INVITE", (OLD,))
    assert "t_relay" in kamailio.done


def test_a_large_call_goes_over_tcp_and_then_over_udp(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.length = 4_000
    relay.to_targets(worker, "INVITE", (OLD,))
    assert kamailio.done == [
        ("fr", 0, large_requests.WAIT_MS),
        "ksr_branch_failure_route",
        "t_relay",
    ]
    assert kamailio.message.request_uri == f"{OLD.uri};transport=tcp"
    done = _fail(worker, kamailio, 0, 408)
    assert done[:2] == [("fr", 0, fork.ANSWER_WITHIN_MS), ("branch", OLD.uri)]
    kamailio.done.clear()
    relay.to_targets(worker, "INVITE", (OLD,))
    assert kamailio.done == ["forward"]


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_the_next_flow_of_a_device_is_tried_when_one_has_failed(
    worker: Worker, kamailio: FakeKsr, method: str
) -> None:
    kamailio.message.method = method
    relay.to_targets(worker, method, (PHONE,))
    assert kamailio.done == ["ksr_branch_failure_route", "t_relay"]
    assert _fail(worker, kamailio, 0, 430)[0] == ("branch", FLOWS[1].uri)
    assert kamailio.counts[counters.FLOWS_REPLACED] == 1
    assert _fail(worker, kamailio, 1, 408)[0] == ("branch", FLOWS[2].uri)
    assert _fail(worker, kamailio, 2, 430) == []
    assert _fail(worker, kamailio, 0, 430) == []


@pytest.mark.parametrize("status", [404, 486, 500, 603])
def test_what_the_device_itself_says_is_final(
    worker: Worker, kamailio: FakeKsr, status: int
) -> None:
    relay.to_targets(worker, "INVITE", (PHONE,))
    assert _fail(worker, kamailio, 0, status) == []


def test_the_others_of_a_fork_have_no_other_flow(worker: Worker, kamailio: FakeKsr) -> None:
    relay.to_targets(worker, "INVITE", (OLD, PHONE))
    assert _fail(worker, kamailio, 0, 430) == []
    assert _fail(worker, kamailio, 1, 430)[0] == ("branch", FLOWS[1].uri)


def test_a_flow_with_another_to_fall_back_on_is_handed_over_even_by_its_owner(
    worker: Worker, kamailio: FakeKsr
) -> None:
    worker.branches, kamailio.branch = (PHONE, FLOWS[0]), 0
    fork.prepare_branch(worker)
    assert kamailio.next_hop == "sip:n1.farm.test:5060;transport=udp"
    kamailio.branch = 1
    fork.prepare_branch(worker)
    assert kamailio.next_hop == "sip:198.51.100.1:1;transport=tcp"


@pytest.mark.parametrize(
    ("failures", "answer"),
    [
        ([(0, 430), (1, 430), (2, 408)], (480, "Temporarily Unavailable")),
        ([(0, 430), (1, 486)], (486, "Busy Here")),
    ],
)
def test_what_a_device_said_counts_more_than_a_failed_flow(
    worker: Worker,
    kamailio: FakeKsr,
    failures: list[tuple[int, int]],
    answer: tuple[int, str],
) -> None:
    relay.to_targets(worker, "INVITE", (PHONE,))
    for branch, status in failures:
        _fail(worker, kamailio, branch, status)
    kamailio.done.clear()
    kamailio.message.status = 430
    fork.end_or_try_next_group(worker)
    assert kamailio.done == [answer]


def test_an_answer_that_is_no_failed_flow_stands(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.status = 486
    fork.end_or_try_next_group(worker)
    assert kamailio.done == []


HIGH = msgspec.structs.replace(OLD, q=900)

BOTH = (msgspec.structs.replace(NEW, q=500), msgspec.structs.replace(TCP, q=500))

LOW = msgspec.structs.replace(MINE, q=100)


def _all_failed(worker: Worker, kamailio: FakeKsr, status: int) -> list[object]:
    kamailio.done.clear()
    kamailio.message.status = status
    fork.end_or_try_next_group(worker)
    return [done for done in kamailio.done if done != "ksr_branch_failure_route"]


def test_those_with_the_highest_q_ring_first(worker: Worker, kamailio: FakeKsr) -> None:
    relay.to_targets(worker, "INVITE", (LOW, *BOTH, HIGH))
    assert kamailio.message.request_uri == HIGH.uri
    ringing, waiting = ("fr", 20_000, 8_000), ("fr", 180_000, 8_000)
    assert kamailio.done == [ringing, "ksr_branch_failure_route", "t_relay"]
    second = [("branch", target.uri) for target in BOTH]
    assert _all_failed(worker, kamailio, 486) == [*second, ringing, "t_relay"]
    assert _all_failed(worker, kamailio, 408) == [("branch", LOW.uri), waiting, "t_relay"]
    assert kamailio.counts[counters.GROUPS_TRIED] == 2
    assert _all_failed(worker, kamailio, 486) == []


def test_nobody_else_rings_when_somebody_declines_for_all(
    worker: Worker, kamailio: FakeKsr
) -> None:
    relay.to_targets(worker, "INVITE", (HIGH, LOW))
    assert _all_failed(worker, kamailio, 603) == []


def test_nobody_else_rings_when_the_caller_gave_up(worker: Worker, kamailio: FakeKsr) -> None:
    relay.to_targets(worker, "INVITE", (HIGH, LOW))
    kamailio.canceled = True
    assert _all_failed(worker, kamailio, 487) == []


def test_a_failed_flow_keeps_its_group_s_turn(worker: Worker, kamailio: FakeKsr) -> None:
    relay.to_targets(worker, "INVITE", (PHONE, LOW))
    assert _fail(worker, kamailio, 0, 430)[0] == ("branch", FLOWS[1].uri)
    assert _all_failed(worker, kamailio, 486)[0] == ("branch", LOW.uri)


def test_too_little_breadth_for_a_fork(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.fields["Max-Breadth"] = ["1"]
    relay.to_targets(worker, "INVITE", (OLD, NEW))
    assert kamailio.done == [440]


def test_who_gave_up_hears_so_though_a_flow_had_failed_before(
    worker: Worker, kamailio: FakeKsr
) -> None:
    relay.to_targets(worker, "INVITE", (PHONE,))
    _fail(worker, kamailio, 0, 430)
    kamailio.canceled = True
    assert _all_failed(worker, kamailio, 430) == [(487, "Request Terminated")]
