"""What strangers can leave in a node's memory."""

from overlay.base.limits import HEADER_CHARS_MAX
from overlay.records.targets import Target
from proxy import counters
from proxy.routes import pins, relay, request
from proxy.source_quota import SourceQuota
from proxy.worker import Worker
from tests.unit.proxy.conftest import FakeDaemon, MakeWorker
from tests.unit.proxy.fake_ksr import FakeKsr

BOB = Target(uri="sip:bob@192.0.2.20:5060")


def test_an_address_that_takes_too_much_is_refused_and_its_neighbour_is_not(
    make_worker: MakeWorker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    worker = make_worker(proxy={"authenticate": False})
    daemon.located(BOB)
    kamailio.message.length = 2_000
    worker.requests_quota = SourceQuota(4_000, 200.0, worker.clock)
    for code in ("forward", "forward", 503):
        kamailio.next_message("INVITE")
        request.route(worker)
        assert kamailio.done[-1] == code
    assert kamailio.counts[counters.SOURCES_FULL] == 1
    kamailio.message.source = ("192.0.2.11", 5060)
    kamailio.next_message("INVITE")
    request.route(worker)
    assert kamailio.done[-1] == "forward"


def test_a_trusted_peer_may_take_more(
    make_worker: MakeWorker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    worker = make_worker(
        proxy={
            "authenticate": False,
            "trusted_peers": ["192.0.2.10"],
        }
    )
    daemon.located(BOB)
    worker.requests_quota = SourceQuota(1, 200.0, worker.clock)
    for _ in range(3):
        kamailio.next_message("INVITE")
        request.route(worker)
        assert kamailio.done[-1] == "forward"


def test_the_keys_of_tables_do_not_grow_with_what_is_sent(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.located(BOB)
    kamailio.message.call_id = kamailio.message.from_tag = "x" * HEADER_CHARS_MAX
    request.route(worker)
    assert kamailio.done == ["forward"]
    assert [len(key) for _, key in kamailio.tables] == [32]


def test_a_tag_that_is_too_long(worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    daemon.located(BOB)
    kamailio.message.from_tag = "x" * (HEADER_CHARS_MAX + 1)
    request.route(worker)
    assert kamailio.done == [400]
    assert kamailio.tables == {}


def test_a_pin_is_bounded(worker: Worker, kamailio: FakeKsr) -> None:
    """Phones may register long URIs with long Paths, and many of them."""
    long = Target(uri="sip:bob@192.0.2.20", path=("sip:" + "x" * 1_000,) * 9)
    relay.to_targets(worker, "INVITE", (long,))
    assert kamailio.done == ["forward"]
    assert kamailio.tables == {}
    relay.to_targets(worker, "INVITE", (long, Target(uri="sip:bob@192.0.2.21", q=500)))
    assert list(kamailio.tables.values()) == [pins.WITH_TRANSACTION]
