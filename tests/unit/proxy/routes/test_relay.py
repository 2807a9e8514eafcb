"""Where requests go; requests that belong together go the same way."""

import msgspec
import pytest

from overlay.records.targets import Reach, Target
from proxy import counters, route_token
from proxy.route_token import Flow
from proxy.routes import relay
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


@pytest.mark.parametrize("method", ["CANCEL", "ACK"])
def test_cancel_and_ack_go_where_their_invite_went(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, method: str
) -> None:
    relay.to_targets(worker, "INVITE", (OLD,))
    daemon.located(NEW)
    kamailio.next_message(method)
    assert relay.follow_pin(worker, method)
    assert kamailio.message.request_uri == OLD.uri
    assert kamailio.done == ["forward"]
    assert daemon.asked == []


def test_without_a_pin_the_binding_of_now_is_the_best_guess(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(NEW)
    kamailio.next_message("CANCEL")
    assert not relay.follow_pin(worker, "CANCEL")
    relay.follow_binding(worker, "CANCEL")
    assert kamailio.message.request_uri == NEW.uri
    assert kamailio.done == ["forward"]


@pytest.mark.parametrize("uri", [AOR, "sip:bob@example.org"])
def test_a_cancel_for_nothing(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, uri: str
) -> None:
    daemon.located(reach=Reach.OFFLINE)
    kamailio.next_message("CANCEL")
    kamailio.message.request_uri = uri
    assert not relay.follow_pin(worker, "CANCEL")
    relay.follow_binding(worker, "CANCEL")
    assert kamailio.done == [481]


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
    kamailio.next_message("CANCEL")
    kamailio.transaction = 1
    assert relay.follow_pin(worker, "CANCEL")
    assert kamailio.done == ["t_relay"]
    kamailio.next_message("ACK")
    kamailio.transaction = 0
    assert relay.follow_pin(worker, "ACK")
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
    flow = route_token.read_owner_route(KEY, route_token.parameters_of(route), "call-1")
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


def test_a_next_hop_that_cannot_be_reached(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.forward_result = -1
    relay.to_targets(worker, "INVITE", (OLD,))
    assert kamailio.done == ["forward failed", 480]
    assert kamailio.counts == {counters.FORWARD_FAILED: 1}


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


def test_a_transport_that_nobody_knows_is_not_tried(worker: Worker, kamailio: FakeKsr) -> None:
    assert not relay.send(worker, "INVITE", "sip:bob@192.0.2.20;transport=pigeon")
    assert kamailio.done == []
