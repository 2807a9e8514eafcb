"""A dialog whose flow is gone goes on along the binding that its Contact has now."""

from pathlib import Path

import pytest

from overlay.cache import shown_settings
from overlay.control.proxy_messages import WriteEvent, Written
from overlay.records.settings import Shown
from overlay.records.targets import Reach, Target
from proxy import counters, route_token
from proxy.route_token import Flow
from proxy.routes import detour, request
from proxy.worker import Worker
from tests.unit.proxy.conftest import KEY, FakeDaemon, MakeWorker
from tests.unit.proxy.fake_ksr import FakeKsr

CONTACT = "sip:bob@10.0.0.2:2;transport=tcp"
LOST = Flow("n2", "tcp", "10.0.0.2", 2)
NOW = Target(uri=CONTACT, received="sip:10.0.0.2:77;transport=tcp", owner="n3")


@pytest.fixture
def worker(make_worker: MakeWorker, tmp_path: Path) -> Worker:
    return make_worker(node={"name": "n1", "address": "192.0.2.1", "run_dir": str(tmp_path)})


@pytest.fixture(autouse=True)
def _written(daemon: FakeDaemon) -> None:
    daemon.answers[WriteEvent] = Written(id=1, level="quorum")


def _bye(worker: Worker, kamailio: FakeKsr, flow: Flow, *, gone: tuple[str, ...] = ()) -> None:
    """A BYE of the caller to Bob, whom only that flow reached when the call began."""
    shown_settings.write(worker.settings.config.settings_file, Shown(gone=gone))
    message = kamailio.message
    message.method, message.request_uri, message.to_uri = "BYE", CONTACT, "sip:bob@farm.test"
    message.from_tag, message.to_tag = "ft", "tt"
    uri = "sip:farm.test;lr;" + route_token.write_record_route(KEY, "call-1", "ft", None, flow)
    message.fields["Route"] = [f"<{uri}>"]
    request.route(worker)


def test_while_the_owner_lives_nobody_is_asked(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(NOW)
    _bye(worker, kamailio, LOST)
    assert kamailio.next_hop == "sip:n2.farm.test:5060;transport=udp"
    assert [type(each) for each in daemon.asked] == [WriteEvent]


def test_the_flow_of_a_dead_node_is_replaced(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(NOW)
    _bye(worker, kamailio, LOST, gone=("n2",))
    assert kamailio.next_hop == "sip:n3.farm.test:5060;transport=udp"
    assert kamailio.message.request_uri == CONTACT
    assert kamailio.done == ["loose_route", "forward"]
    assert any(detour.flows.LAST in field for field in kamailio.inserted)
    assert kamailio.counts[counters.DETOURS] == 1


def test_a_phone_that_any_node_reaches_now(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(Target(uri=CONTACT))
    _bye(worker, kamailio, LOST, gone=("n2",))
    assert (kamailio.next_hop, kamailio.inserted) == (CONTACT, [])


def test_a_path_is_followed(worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    daemon.located(Target(uri=CONTACT, path=("sip:edge.example.org;lr",)))
    _bye(worker, kamailio, LOST, gone=("n2",))
    assert kamailio.next_hop == "sip:edge.example.org;lr"
    assert kamailio.inserted == ["Route: <sip:edge.example.org;lr>\r\n"]


@pytest.mark.parametrize("reach", [Reach.OFFLINE, Reach.UNKNOWN])
def test_nobody_there_leaves_it_to_the_flow(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, reach: Reach
) -> None:
    daemon.located(reach=reach)
    _bye(worker, kamailio, LOST, gone=("n2",))
    assert kamailio.next_hop == "sip:n2.farm.test:5060;transport=udp"


def test_a_connection_of_this_node_that_is_closed(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(NOW)
    kamailio.forward_result = -1
    _bye(worker, kamailio, Flow("n1", "tcp", "10.0.0.2", 2))
    assert kamailio.next_hop == "sip:n3.farm.test:5060;transport=udp"
    assert kamailio.done[-2:] == ["forward failed", 480]


@pytest.mark.parametrize(("mark", "asked"), [("", 1), (detour.flows.LAST, 0)])
def test_what_was_handed_over_goes_on_one_detour_at_most(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, mark: str, asked: int
) -> None:
    daemon.located(NOW)
    kamailio.forward_result = -1
    message = kamailio.message
    message.method, message.request_uri, message.to_uri = "BYE", CONTACT, "sip:bob@farm.test"
    message.to_tag = "tt"
    own = Flow("n1", "tcp", "10.0.0.2", 2)
    uri = route_token.write_owner_route(KEY, "n1.farm.test", "call-1", own) + mark
    message.fields["Route"] = [f"<{uri}>"]
    request.route(worker)
    assert len(daemon.asked) == asked
    assert kamailio.done[-1] == 430


def _at(uri: str, port: int = 77) -> Target:
    return Target(uri=uri, received=f"sip:10.0.0.2:{port};transport=tcp", owner="n3")


def test_which_binding_is_the_dialogs() -> None:
    other_port = _at("sip:bob@10.0.0.2:9;transport=tcp")
    other_device = _at("sip:bob-2@10.0.0.2:2;transport=tcp")
    assert detour.choose((other_port, NOW), CONTACT, LOST) == NOW
    assert detour.choose((other_device, other_port), CONTACT, LOST) == other_port
    assert detour.choose((other_device,), CONTACT, LOST) is None
    assert detour.choose((other_port, _at("sip:bob@10.0.0.2:8")), CONTACT, LOST) is None
    lost = Target(uri=CONTACT, received=LOST.uri, owner=LOST.owner)
    assert detour.choose((lost,), CONTACT, LOST) is None
    assert detour.choose((Target(uri="sip:x@y", backups=(NOW,)),), CONTACT, LOST) == NOW
