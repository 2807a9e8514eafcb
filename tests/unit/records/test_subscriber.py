"""The operator's signature still holds for records from before a field was added."""

import msgspec
import pytest

from overlay.records.subscriber import Policy, Subscriber, signed_part, with_password

ALICE = with_password("alice@farm.test", "wonder", 1)


def signed_then(record: Subscriber, fields: int) -> bytes:
    """What was signed when a policy had so many fields."""
    before = (record.aor, record.version, record.ha1, record.ha1_sha256, record.removed)
    return msgspec.msgpack.encode((*before, msgspec.structs.astuple(record.policy)[:fields]))


@pytest.mark.parametrize(
    "policy",
    [Policy(blocked=True), Policy(identities=("office@farm.test",)), Policy(contacts_max=1)],
)
def test_a_policy_from_before_calls_max_is_signed_as_it_was(policy: Policy) -> None:
    record = msgspec.structs.replace(ALICE, policy=policy)
    assert signed_part(record) == signed_then(record, 5)


def test_calls_max_is_signed() -> None:
    record = msgspec.structs.replace(ALICE, policy=Policy(calls_max=2))
    assert signed_part(record) == signed_then(record, 6)
    more = msgspec.structs.replace(ALICE, policy=Policy(calls_max=3))
    assert len({signed_part(each) for each in (ALICE, record, more)}) == 3
