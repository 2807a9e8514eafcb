"""How much one address may take."""

from proxy import source_quota
from proxy.source_quota import SourceQuota
from tests.unit.proxy.conftest import Clock


def test_an_address_has_its_share_in_each_period(clock: Clock) -> None:
    quota = SourceQuota(10, 200.0, clock)
    assert quota.take("192.0.2.1", 6)
    assert not quota.take("192.0.2.1", 5)
    assert quota.take("192.0.2.1", 4)
    assert quota.take("192.0.2.2", 10), "a neighbour has its own"
    clock.now_s += 200.0
    assert quota.take("192.0.2.1", 10)


def test_no_limit(clock: Clock) -> None:
    assert SourceQuota(0, 200.0, clock).take("192.0.2.1", 1 << 40)


def test_false_addresses_fill_no_memory(clock: Clock) -> None:
    quota = SourceQuota(10, 200.0, clock)
    for number in range(source_quota.ADDRESSES_MAX):
        assert quota.take(str(number), 1)
    assert quota.take("one more", 10)
    assert not quota.take("and another", 1), "they share what is left"
    assert quota.take("0", 9), "those that came before keep theirs"
    assert len(quota._taken) == source_quota.ADDRESSES_MAX + 1
