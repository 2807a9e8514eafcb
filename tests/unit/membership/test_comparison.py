"""The comparison of two lists of members finds what each one lacks."""

import random

from hypothesis import given
from hypothesis import strategies as st

from overlay.base.limits import COMPARED_UPDATES_MAX
from overlay.links.member_claims import RANK, State
from overlay.links.member_messages import CompareMembers, MemberUpdate
from overlay.membership.comparer import Comparer
from overlay.membership.comparison import DIGEST_BYTES, SLICES, differing, digests, page, slice_of
from overlay.records.node_info import NodeInfo


def update(number: int, state: State = State.ALIVE, incarnation: int = 1) -> MemberUpdate:
    node_id = random.Random(number).randbytes(20)
    node = NodeInfo(node_id=node_id, name=f"n{number}", host="192.0.2.1", port=1)
    return MemberUpdate(node=node, state=RANK[state], incarnation=incarnation, origin=node_id)


UPDATES = st.sets(st.integers(0, 200)).map(lambda numbers: [update(n) for n in sorted(numbers)])


@given(UPDATES, st.randoms())
def test_the_order_does_not_matter(updates: list[MemberUpdate], chance: random.Random) -> None:
    shuffled = list(updates)
    chance.shuffle(shuffled)
    assert digests(updates) == digests(shuffled)
    assert len(digests(updates)) == SLICES * DIGEST_BYTES


@given(UPDATES, UPDATES)
def test_slices_differ_exactly_where_the_lists_do(
    one: list[MemberUpdate], two: list[MemberUpdate]
) -> None:
    expected = {slice_of(u.node.node_id) for u in one if u not in two}
    expected |= {slice_of(u.node.node_id) for u in two if u not in one}
    assert set(differing(digests(one), digests(two), 0)) == expected
    assert differing(digests(one), digests(two), 32) == sorted(n for n in expected if n >= 32)


def test_a_higher_incarnation_and_a_suspicion_differ_and_the_dead_do_not() -> None:
    known = [update(n) for n in range(20)]
    assert digests([*known, update(20, State.DEAD)]) == digests(known)
    for other in (update(19, State.SUSPECT), update(19, incarnation=2), update(19, State.DEAD)):
        assert digests([*known[:-1], other]) != digests(known)


def test_a_newcomer_hears_of_everybody_in_bounded_pages() -> None:
    known = [update(n) for n in range(3_000)]
    heard: dict[bytes, MemberUpdate] = {}
    first, pages = 0, 0
    while first < SLICES:
        told, following = page(known, differing(digests(known), digests(heard.values()), first))
        assert len(told) <= COMPARED_UPDATES_MAX
        assert following > first
        heard |= {each.node.node_id: each for each in told}
        first, pages = following, pages + 1
    assert list(heard.values()) != []
    assert digests(heard.values()) == digests(known)
    assert pages <= 8


def test_nonsense_is_answered_by_nothing() -> None:
    comparer = Comparer(None, lambda: [update(1)], lambda: 1, lambda _: None, 1.0)  # type: ignore[arg-type]
    for digest in (b"", b"x", b"\0" * 4096):
        assert comparer.answer(CompareMembers(digests=digest)).updates == ()
    for first in (-5, SLICES, 1 << 40):
        answer = comparer.answer(CompareMembers(digests=b"\0" * SLICES * DIGEST_BYTES, first=first))
        assert len(answer.updates) == (1 if first < 0 else 0)
