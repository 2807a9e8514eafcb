"""The location of a subscriber: from Redis first, from the daemon on a miss."""

import pytest

from overlay.records.targets import CachedTargets, Reach, Target, encode_cached, redis_key
from proxy import counters
from proxy.routes import location
from proxy.worker import Worker
from tests.unit.proxy.conftest import FakeDaemon
from tests.unit.proxy.fake_ksr import FakeKsr

AOR = "bob@farm.test"
KEY = redis_key(AOR)
TARGETS = (Target(uri="sip:bob@192.0.2.20", q=900), Target(uri="sip:bob@192.0.2.21"))
CACHED = encode_cached(CachedTargets(until_ms=2**40, targets=TARGETS)).decode()


def test_what_redis_has_is_taken(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.redis[KEY] = CACHED
    assert location.find(worker, AOR) == TARGETS
    assert kamailio.counts == {counters.LOOKUPS_HOT: 1}


def test_what_redis_has_shown_for_too_long_is_asked_of_the_daemon(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    late = CachedTargets(until_ms=int(worker.clock() * 1000) - 1, targets=TARGETS[1:])
    kamailio.redis[KEY] = encode_cached(late).decode()
    daemon.located(*TARGETS)
    assert location.find(worker, AOR) == TARGETS
    assert kamailio.counts == {counters.LOOKUPS_COLD: 1}


@pytest.mark.parametrize("text", ["nonsense", "[]", "[7,[]]", '[7,[["sip:x"', '{"a":1}', ""])
def test_what_redis_cannot_tell_is_asked_of_the_daemon(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, text: str
) -> None:
    kamailio.redis[KEY] = text
    daemon.located(*TARGETS)
    assert location.find(worker, AOR) == TARGETS
    assert kamailio.counts[counters.LOOKUPS_COLD] == 1


def test_a_dead_redis_degrades(worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    kamailio.redis_is_up = False
    daemon.located(*TARGETS)
    assert location.find(worker, AOR) == TARGETS
    assert kamailio.counts == {counters.CACHE_FAILED: 1, counters.LOOKUPS_COLD: 1}


def test_found_without_targets_is_offline(worker: Worker, daemon: FakeDaemon) -> None:
    daemon.located()
    assert location.find(worker, AOR) is Reach.OFFLINE


def test_nobody_answers(worker: Worker, kamailio: FakeKsr) -> None:
    assert location.find(worker, AOR) is None
    assert kamailio.counts[counters.LOOKUPS_FAILED] == 1
