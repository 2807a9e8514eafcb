"""What a node remembers of the chains of other nodes."""

from pathlib import Path

import msgspec
import pytest

from overlay.billing import witness
from overlay.billing.witness import RECENT_US, Witness
from overlay.identity import ca, files
from overlay.identity.identity import load_ca_certificate
from tests.proxy_requests import FARM
from tests.unit.billing.test_audit import Signer, seen

NOW_MS = 5_000_000


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    ca.create(tmp_path / "ca", FARM)
    return Signer(tmp_path, "n1")


def witness_of(signer: Signer, own_id: bytes = b"o" * 20) -> Witness:
    authority = load_ca_certificate(signer.directory / "ca" / files.CA_CERTIFICATE)
    return Witness(own_id, lambda: authority, lambda: NOW_MS)


def test_the_last_block_of_each_chain_is_told_once(signer: Signer) -> None:
    watching, now_us = witness_of(signer), NOW_MS * 1000
    one = signer.block(signer.event(0), time_us=now_us)
    two = signer.block(signer.event(1), time_us=now_us)
    watching.saw(two)
    watching.saw(one)
    watching.saw(signer.event(2))
    assert watching.calls_for_a_block
    assert watching.news() == (seen(two),)
    told, three = watching.news(), signer.block(time_us=now_us)
    watching.saw(three)
    # A block came while that was written.
    watching.said(told)
    assert watching.news() == (seen(three),)
    watching.said(watching.news())
    assert (watching.news(), watching.calls_for_a_block) == ((), False)


def test_blocks_that_only_vouch_call_for_none(signer: Signer) -> None:
    watching = witness_of(signer)
    block = signer.block(time_us=NOW_MS * 1000)
    watching.saw(block)
    assert (watching.news(), watching.calls_for_a_block) == ((seen(block),), False)


def test_own_old_and_forged_blocks_are_not_vouched_for(signer: Signer) -> None:
    now_us = NOW_MS * 1000
    watching = witness_of(signer)
    old = signer.block(signer.event(0), time_us=now_us - RECENT_US - 1)
    forged = msgspec.structs.replace(signer.block(signer.event(1), time_us=now_us), proof=b"x")
    for block in (old, forged):
        watching.saw(block)
    assert watching.news() == ()
    mine = signer.block(signer.event(2), time_us=now_us)
    own = witness_of(signer, seen(mine).node_id)
    own.saw(mine)
    assert own.news() == ()


def test_there_is_a_bound(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "CHAINS_SEEN_MAX", 1)
    watching, other = witness_of(signer), Signer(signer.directory, "n2")
    first = signer.block(signer.event(0), time_us=NOW_MS * 1000)
    second = other.block(other.event(1), time_us=NOW_MS * 1000)
    watching.saw(first)
    watching.saw(second)
    assert watching.news() == (seen(second),)
