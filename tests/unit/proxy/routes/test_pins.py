"""An INVITE's pin ends with its answer, and a full table keeps no call from its phone."""

from overlay.records.targets import Target
from proxy.routes import pins, relay
from proxy.worker import Worker
from tests.unit.proxy.fake_ksr import FakeKsr

OLD = Target(uri="sip:bob@192.0.2.20:5060")


def test_an_answered_call_is_not_pinned_any_more(worker: Worker, kamailio: FakeKsr) -> None:
    relay.to_targets(worker, "INVITE", (OLD,))
    assert pins.is_pinned(worker, "call-1", "ft")
    pins.unpin(worker, "call-1", "ft")
    assert not pins.is_pinned(worker, "call-1", "ft")
    assert kamailio.tables == {}


def test_a_table_without_room_keeps_no_call_from_its_phone(
    worker: Worker, kamailio: FakeKsr
) -> None:
    kamailio.htable.sht_sets = lambda _table, _key, _value: -1
    relay.to_targets(worker, "INVITE", (OLD,))
    assert kamailio.done == ["forward"]
    assert kamailio.log == ["no room for pins: CANCEL falls back on bindings\n"]
