"""The list of revoked nodes: only the operator can change it, and each change counts."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from overlay.base.errors import ForgedError, IdentityError
from overlay.base.limits import REVOKED_NODES_MAX
from overlay.identity import ca, files, identity, keys, operator, request, revocations

from .conftest import FARM, Enrolled

OPERATOR = operator.generate()
LIST = revocations.signed(7, {b"a" * 20, b"b" * 20}, OPERATOR)


def test_what_the_operator_signed_is_admitted() -> None:
    assert revocations.admit(revocations.encode(LIST), OPERATOR.public) == LIST


@pytest.mark.parametrize(
    "forged",
    [
        msgspec.structs.replace(LIST, version=8),
        msgspec.structs.replace(LIST, node_ids=LIST.node_ids[:1]),
        msgspec.structs.replace(LIST, signature=b""),
        revocations.signed(8, {b"a" * 20}, operator.generate()),
        revocations.signed(8, {b"too short"}, OPERATOR),
    ],
)
def test_what_is_not_the_operators_is_refused(forged: revocations.Revocations) -> None:
    with pytest.raises(ForgedError):
        revocations.admit(revocations.encode(forged), OPERATOR.public)


def test_the_longest_list_fits_into_its_file_and_no_longer_one_is_made() -> None:
    many = {number.to_bytes(20, "big") for number in range(REVOKED_NODES_MAX)}
    body = revocations.encode(revocations.signed(1, many, OPERATOR))
    assert len(body) < revocations.REVOKED_FILE_BYTES_MAX
    with pytest.raises(IdentityError, match="cannot be revoked at a time"):
        revocations.signed(1, many | {b"x" * 20}, OPERATOR)


def test_a_node_is_revoked_by_name_or_id_and_its_key_is_never_signed_again(
    enrolled: Enrolled,
) -> None:
    mine = identity.load(enrolled.config)
    key = keys.load(enrolled.node / files.NODE_KEY)
    first, by_name = ca.revoke(enrolled.ca, "n1")
    second, by_id = ca.revoke(enrolled.ca, mine.node_id.hex())
    assert by_name == by_id == mine.node_id.hex()
    assert first.node_ids == second.node_ids == (mine.node_id,)
    assert second.version > first.version
    again = request.make(key, FARM, "n1", "192.0.2.1")
    with pytest.raises(IdentityError, match="was revoked"):
        ca.sign(enrolled.ca, again, "n1", "192.0.2.1")
    # Its name is free for a node with a key of its own, which is told of the list.
    ca.issue(enrolled.ca, FARM, "n1", "192.0.2.1", enrolled.node)
    assert identity.load(enrolled.config).revoked == second
    with pytest.raises(IdentityError, match="no node of this name"):
        ca.revoke(enrolled.ca, "n7")


def test_whose_certificates_have_expired_leaves_the_list(enrolled: Enrolled) -> None:
    revoked, _ = ca.revoke(enrolled.ca, "n1")
    later = datetime.now(UTC) + timedelta(days=400)
    ca.issue(enrolled.ca, FARM, "n2", "192.0.2.2", enrolled.node.parent / "n2", now=later)
    after, node_id = ca.revoke(enrolled.ca, "n2", now=later)
    assert [each.hex() for each in after.node_ids] == [node_id]
    assert set(after.node_ids).isdisjoint(revoked.node_ids)


def test_a_forged_list_beside_the_identity_is_named(enrolled: Enrolled) -> None:
    revocations.write(enrolled.node / files.REVOKED, LIST)
    with pytest.raises(IdentityError, match=r"revoked.list: .*signature"):
        identity.load(enrolled.config)
