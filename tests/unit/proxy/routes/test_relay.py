"""Where requests go, and that what belongs together goes the same way."""

import msgspec
import pytest

from overlay.records.targets import Reach, Target
from proxy import counters, route_token
from proxy.route_token import Flow
from proxy.routes import bulk, relay
from proxy.settings import Settings
from proxy.worker import Worker
from tests.unit.proxy.conftest import KEY, FakeDaemon
from tests.unit.proxy.fake_ksr import FakeKsr

OLD = Target(uri="sip:bob@192.0.2.20:5060")
NEW = Target(uri="sip:bob@192.0.2.21:5060")
TCP = Target(uri="sip:bob@192.0.2.20;transport=tcp")
MINE = Target(uri="sip:bob@10.0.0.1", received="sip:198.51.100.1:99;transport=tcp", owner="n1")
THEIRS = Target(uri="sip:bob@10.0.0.1", received="sip:198.51.100.1:99;transport=udp", owner="n2")
AOR = "sip:bob@farm.test"


def _next(kamailio: FakeKsr, method: str) -> None:
    """The next message of the same transaction arrives."""
    kamailio.message.method = method
    kamailio.message.request_uri = AOR
    kamailio.next_hop = None
    kamailio.done.clear()
    kamailio.inserted.clear()


@pytest.mark.parametrize("method", ["CANCEL", "ACK"])
def test_cancel_and_ack_go_where_their_invite_went(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, method: str
) -> None:
    relay.to_targets(worker, "INVITE", (OLD,))
    daemon.located(NEW)
    _next(kamailio, method)
    (relay.cancel if method == "CANCEL" else relay.acknowledge)(worker)
    assert kamailio.message.request_uri == OLD.uri
    assert kamailio.done == ["forward"]
    assert daemon.asked == []


def test_without_a_pin_the_binding_of_now_is_the_best_guess(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(NEW)
    _next(kamailio, "CANCEL")
    relay.cancel(worker)
    assert kamailio.message.request_uri == NEW.uri
    assert kamailio.done == ["forward"]


@pytest.mark.parametrize("uri", [AOR, "sip:bob@example.org"])
def test_a_cancel_for_nothing(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, uri: str
) -> None:
    daemon.located(reach=Reach.OFFLINE)
    _next(kamailio, "CANCEL")
    kamailio.message.request_uri = uri
    relay.cancel(worker)
    assert kamailio.done == [481]


def test_an_answered_call_is_not_pinned_any_more(worker: Worker, kamailio: FakeKsr) -> None:
    relay.to_targets(worker, "INVITE", (OLD,))
    assert relay.is_pinned(worker, "call-1", "ft")
    relay.unpin(worker, "call-1", "ft")
    assert not relay.is_pinned(worker, "call-1", "ft")
    assert kamailio.tables == {}


def test_only_invites_are_pinned_and_only_dialogs_record_routed(
    worker: Worker, kamailio: FakeKsr
) -> None:
    relay.to_targets(worker, "MESSAGE", (OLD,))
    assert kamailio.tables == {}
    assert kamailio.inserted == []


@pytest.mark.parametrize(
    ("protocol", "target", "sent"),
    [
        ("udp", OLD, "forward"),
        ("udp", TCP, "forward"),
        ("tcp", TCP, "forward"),
        ("tcp", OLD, "t_relay"),
    ],
)
def test_a_transaction_only_where_nobody_else_would_retransmit(
    worker: Worker, kamailio: FakeKsr, protocol: str, target: Target, sent: str
) -> None:
    kamailio.message.protocol = protocol
    relay.to_targets(worker, "INVITE", (target,))
    assert kamailio.done == [sent]


def test_a_cancel_of_a_transaction_is_the_transactions_business(
    worker: Worker, kamailio: FakeKsr
) -> None:
    kamailio.message.protocol = "tcp"
    relay.to_targets(worker, "INVITE", (OLD,))
    _next(kamailio, "CANCEL")
    kamailio.transaction = 1
    relay.cancel(worker)
    assert kamailio.done == ["t_relay"]
    _next(kamailio, "ACK")
    kamailio.transaction = 0
    relay.acknowledge(worker)
    assert kamailio.done == []


def test_a_flow_of_this_node(worker: Worker, kamailio: FakeKsr) -> None:
    relay.to_targets(worker, "INVITE", (MINE,))
    assert kamailio.next_hop == MINE.received
    assert kamailio.done == ["no connect", "forward"]
    assert ";d=n1~tcp~198.51.100.1~99;" in kamailio.inserted[0]


def test_a_flow_of_another_node_goes_through_that_node(worker: Worker, kamailio: FakeKsr) -> None:
    relay.to_targets(worker, "INVITE", (THEIRS,))
    assert kamailio.next_hop == "sip:n2.farm.test:5060;transport=udp"
    assert kamailio.message.request_uri == THEIRS.uri
    route = kamailio.inserted[1].removeprefix("Route: <").removesuffix(">\r\n")
    flow = route_token.handed_over(KEY, route_token.parameters_of(route), "call-1")
    assert flow == Flow("n2", "udp", "198.51.100.1", 99)
    assert kamailio.counts == {counters.HANDED_OVER: 1}


def test_a_connection_is_handed_over_on_a_connection(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.protocol = "tcp"
    relay.to_targets(worker, "INVITE", (THEIRS,))
    assert kamailio.next_hop == "sip:n2.farm.test:5060;transport=tcp"
    assert kamailio.done == ["forward"]


def test_a_path_is_followed(worker: Worker, kamailio: FakeKsr) -> None:
    target = Target(uri="sip:bob@10.0.0.1", path=("sip:p1;lr", "sip:p2;lr"))
    relay.to_targets(worker, "MESSAGE", (target,))
    assert kamailio.next_hop == "sip:p1;lr"
    assert kamailio.inserted == ["Route: <sip:p1;lr>, <sip:p2;lr>\r\n"]


def test_a_fork_is_a_transaction_with_a_record_route_on_each_branch(
    worker: Worker, kamailio: FakeKsr
) -> None:
    sent: list[str] = []

    def relay_branches() -> int:
        for kamailio.branch in (0, 1, 2):
            relay.prepare_branch(worker)
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
    _next(kamailio, "CANCEL")
    kamailio.tm.t_relay = lambda: kamailio.done.append("t_relay") or 1
    kamailio.transaction = 1
    relay.cancel(worker)
    assert kamailio.done == ["t_relay"]


def test_a_callers_name_that_is_not_utf8_keeps_no_branch_from_its_phone(
    worker: Worker, kamailio: FakeKsr
) -> None:
    kamailio.spoil("$ct", b'"\xff" <sip:alice@192.0.2.10:5060>')
    worker.branches, worker.record_routed_tag = (OLD, NEW), "ft"
    relay.prepare_branch(worker)
    assert kamailio.inserted[-1].startswith("Record-Route: ")
    assert ";u=" not in kamailio.inserted[-1]


def test_the_retransmission_of_a_fork_is_absorbed(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.transaction = 0
    relay.to_targets(worker, "INVITE", (OLD, NEW))
    assert kamailio.done == []


def test_a_fork_that_came_far_is_a_loop(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.vias = relay.VIAS_OF_A_FORK_MAX + 1
    relay.to_targets(worker, "INVITE", (OLD, NEW))
    assert kamailio.done == [482]


def test_a_large_call_that_came_far_is_no_fork(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.vias = relay.VIAS_OF_A_FORK_MAX + 1
    kamailio.message.length = 4_000
    relay.to_targets(worker, "INVITE", (OLD,))
    assert "t_relay" in kamailio.done


def test_a_next_hop_that_cannot_be_reached(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.forward_result = -1
    relay.to_targets(worker, "INVITE", (OLD,))
    assert kamailio.done == ["forward failed", 480]
    assert kamailio.counts == {counters.FORWARD_FAILED: 1}


@pytest.mark.parametrize(
    ("protocol", "source", "contact", "flow"),
    [
        ("udp", ("192.0.2.10", 5060), "<sip:alice@192.0.2.10:5060>", ""),
        ("udp", ("192.0.2.10", 999), "sip:alice@192.0.2.10", ""),
        ("udp", ("198.51.100.1", 999), "<sip:alice@10.0.0.9>", "u=n1~udp~198.51.100.1~999"),
        ("tcp", ("192.0.2.10", 999), "<sip:alice@192.0.2.10>", "u=n1~tcp~192.0.2.10~999"),
    ],
)
def test_the_callers_flow_is_in_the_record_route(
    worker: Worker,
    kamailio: FakeKsr,
    protocol: str,
    source: tuple[str, int],
    contact: str,
    flow: str,
) -> None:
    message = kamailio.message
    message.protocol, message.source, message.fields["Contact"] = protocol, source, [contact]
    relay.to_targets(worker, "INVITE", (TCP,))
    assert flow in kamailio.inserted[0]
    assert (";u=" in kamailio.inserted[0]) is bool(flow)


def test_a_large_call_goes_over_tcp_and_then_over_udp(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.length = 4_000
    relay.to_targets(worker, "INVITE", (OLD,))
    assert kamailio.done == [("fr", 0, bulk.WAIT_MS), "ksr_branch_failure_route", "t_relay"]
    assert kamailio.message.request_uri == f"{OLD.uri};transport=tcp"
    done = _fail(worker, kamailio, 0, 408)
    assert done[:2] == [("fr", 0, relay.ANSWER_WITHIN_MS), ("branch", OLD.uri)]
    kamailio.done.clear()
    relay.to_targets(worker, "INVITE", (OLD,))
    assert kamailio.done == ["forward"]


@pytest.mark.parametrize(
    "target",
    [
        Target(uri="sip:bob@192.0.2.20;transport=udp"),
        Target(uri="sips:bob@192.0.2.20"),
        Target(uri="sip:bob@192.0.2.20?Subject=x"),
        Target(uri="sip:bob@192.0.2.20", received="sip:198.51.100.1:9;transport=udp", owner="n1"),
        Target(uri="sip:bob@192.0.2.20", path=("sip:edge.test;lr",)),
    ],
)
def test_who_has_one_way_gets_large_calls_on_it(
    worker: Worker, kamailio: FakeKsr, target: Target
) -> None:
    kamailio.message.length = 4_000
    relay.to_targets(worker, "INVITE", (target,))
    assert kamailio.done[-1] == "forward"


def _ends(kamailio: FakeKsr) -> list[dict[str, str]]:
    values = kamailio.inserted[0].removeprefix("Record-Route: ").split(", ")
    return [route_token.parameters_of(each.strip().strip("<>")) for each in values]


@pytest.mark.parametrize("uri", ["sip:bob@192.0.2.20;transport=tls", "sips:bob@192.0.2.20"])
def test_each_side_is_to_send_on_its_own_transport(
    worker: Worker, kamailio: FakeKsr, uri: str
) -> None:
    relay.to_targets(worker, "INVITE", (Target(uri=uri),))
    callee, caller = _ends(kamailio)
    assert callee.pop("transport") == "tls"
    # Once is enough.
    assert caller.pop("e")
    assert callee == caller
    assert caller["r2"] == "on"
    assert "transport" not in caller


@pytest.mark.parametrize(("protocol", "said"), [("udp", None), ("tcp", "tcp"), ("tls", "tls")])
def test_one_transport_on_both_sides_is_said_once(
    worker: Worker, kamailio: FakeKsr, protocol: str, said: str | None
) -> None:
    kamailio.message.protocol = protocol
    relay.to_targets(worker, "INVITE", (Target(uri=f"sip:b@192.0.2.20;transport={protocol}"),))
    (end,) = _ends(kamailio)
    assert (end.get("transport"), end.get("r2")) == (said, None)


def test_an_encrypted_flow_is_encrypted_between_the_nodes_as_well(
    worker: Worker, kamailio: FakeKsr
) -> None:
    proxy = msgspec.structs.replace(worker.settings.config.proxy, tls_port=5071)
    config = msgspec.structs.replace(worker.settings.config, proxy=proxy)
    worker.settings = Settings.from_config(config, b"")
    received = "sip:198.51.100.1:99;transport=tls"
    target = Target(uri="sip:bob@10.0.0.1", received=received, owner="n2")
    relay.to_targets(worker, "INVITE", (target,))
    assert kamailio.next_hop == "sip:n2.farm.test:5071;transport=tls"


def test_a_proxy_in_between_has_no_flow(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.source, kamailio.message.vias = ("198.51.100.1", 5060), 2
    relay.to_targets(worker, "INVITE", (OLD,))
    assert ";u=" not in kamailio.inserted[0]


def test_a_transport_that_nobody_knows_is_not_tried(worker: Worker, kamailio: FakeKsr) -> None:
    assert not relay.send(worker, "INVITE", "sip:bob@192.0.2.20;transport=pigeon")
    assert kamailio.done == []


FLOWS = tuple(
    Target(uri="sip:bob@10.0.0.1", received=f"sip:198.51.100.1:{n};transport=tcp", owner=f"n{n}")
    for n in (1, 2, 3)
)
PHONE = msgspec.structs.replace(FLOWS[0], backups=FLOWS[1:])


def _fail(worker: Worker, kamailio: FakeKsr, branch: int, status: int) -> list[object]:
    kamailio.done.clear()
    kamailio.message.status, kamailio.branch = status, branch
    relay.try_next_flow(worker)
    return kamailio.done


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
    relay.prepare_branch(worker)
    assert kamailio.next_hop == "sip:n1.farm.test:5060;transport=udp"
    kamailio.branch = 1
    relay.prepare_branch(worker)
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
    relay.end_or_go_on(worker)
    assert kamailio.done == [answer]


def test_an_answer_that_is_no_failed_flow_stands(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.status = 486
    relay.end_or_go_on(worker)
    assert kamailio.done == []


HIGH = msgspec.structs.replace(OLD, q=900)
BOTH = (msgspec.structs.replace(NEW, q=500), msgspec.structs.replace(TCP, q=500))
LOW = msgspec.structs.replace(MINE, q=100)


def _all_failed(worker: Worker, kamailio: FakeKsr, status: int) -> list[object]:
    kamailio.done.clear()
    kamailio.message.status = status
    relay.end_or_go_on(worker)
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
