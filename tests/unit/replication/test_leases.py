"""Leases end by themselves and are bounded."""

import pytest

from overlay.replication import leases as module
from overlay.replication.leases import Leases

KEY, ONE, TWO = b"k" * 20, b"1" * 20, b"2" * 20


def test_a_holder_is_told_until_its_lease_ends() -> None:
    leases = Leases()
    assert leases.grant(KEY, ONE, 0.0, 10.0)
    assert leases.grant(KEY, TWO, 0.0, 20.0)
    assert set(leases.holders(KEY, 5.0)) == {ONE, TWO}
    assert leases.holders(KEY, 15.0) == [TWO]
    assert leases.holders(KEY, 25.0) == []
    assert len(leases) == 0


def test_without_room_no_lease_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEASED_KEYS_MAX", 1)
    leases = Leases()
    assert leases.grant(KEY, ONE, 0.0, 10.0)
    assert not leases.grant(b"x" * 20, ONE, 5.0, 15.0)
    assert leases.grant(b"x" * 20, ONE, 11.0, 21.0)


def test_holders_of_one_key_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEASE_HOLDERS_PER_KEY_MAX", 1)
    leases = Leases()
    assert leases.grant(KEY, ONE, 0.0, 10.0)
    assert not leases.grant(KEY, TWO, 0.0, 10.0)
    assert leases.grant(KEY, ONE, 0.0, 12.0)
