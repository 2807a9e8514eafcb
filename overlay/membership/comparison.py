"""Finds where two nodes' lists of members differ, without sending the lists.

In: claims. Out: a digest for each slice of the id space, and the claims to tell a peer whose
digests differ. Counterpart: `comparer.py` asks and answers. Pure.

A slice's digest covers the members that are claimed to be alive or suspect. Claims of dead members
are told where a slice differs, but they make no slice differ, since some nodes remember the dead
members of a week and others never heard of them.
"""

from collections.abc import Iterable
from hashlib import blake2b

from overlay.base.limits import COMPARED_UPDATES_MAX
from overlay.links.member_claims import RANK, State
from overlay.links.member_messages import MemberUpdate

SLICES = 64
DIGEST_BYTES = 8
_COUNTED = RANK[State.SUSPECT]


def slice_of(node_id: bytes) -> int:
    """The slice that an id belongs to. Ids are hashes, so the slices are about equally full."""
    return node_id[0] % SLICES


def digests(updates: Iterable[MemberUpdate]) -> bytes:
    """The digests of all slices, one after the other. The order of the updates does not matter."""
    sums = [0] * SLICES
    for update in updates:
        if update.state <= _COUNTED:
            text = b"%b %d %d" % (update.node.node_id, update.incarnation, update.state)
            digest = blake2b(text, digest_size=DIGEST_BYTES).digest()
            sums[slice_of(update.node.node_id)] ^= int.from_bytes(digest)
    return b"".join(value.to_bytes(DIGEST_BYTES) for value in sums)


def differing(mine: bytes, theirs: bytes, first: int) -> list[int]:
    """The slices from `first` on whose digests differ."""

    def of(all_of_them: bytes, number: int) -> bytes:
        return all_of_them[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]

    return [n for n in range(max(first, 0), SLICES) if of(mine, n) != of(theirs, n)]


def page(
    updates: Iterable[MemberUpdate], slices: list[int]
) -> tuple[tuple[MemberUpdate, ...], int]:
    """The updates in these slices, and the slice to go on with; SLICES if nothing is left.

    A page ends at the end of a slice.
    """
    by_slice: dict[int, list[MemberUpdate]] = {number: [] for number in slices}
    for update in updates:
        found = by_slice.get(slice_of(update.node.node_id))
        if found is not None:
            found.append(update)
    told: list[MemberUpdate] = []
    for number in slices:
        if told and len(told) + len(by_slice[number]) > COMPARED_UPDATES_MAX:
            return tuple(told), number
        told += by_slice[number]
    return tuple(told[:COMPARED_UPDATES_MAX]), SLICES
