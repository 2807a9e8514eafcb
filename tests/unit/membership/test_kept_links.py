"""Which links a node of a large farm keeps."""

import random

from hypothesis import given
from hypothesis import strategies as st

from overlay.membership.kept_links import KeptLinks, choose

IDS = st.integers(0, (1 << 160) - 1)


@given(IDS, st.sets(IDS, max_size=60), st.integers(1, 80))
def test_as_many_as_asked_for_and_nobody_else(own: int, others: set[int], count: int) -> None:
    others.discard(own)
    chosen = choose(own, others, count)
    assert len(set(chosen)) == len(chosen) == min(count, len(others))
    assert set(chosen) <= others


@given(IDS, st.sets(IDS, min_size=10, max_size=60), st.integers(2, 20))
def test_the_nearest_are_among_them(own: int, others: set[int], count: int) -> None:
    others.discard(own)
    nearest = sorted(others, key=lambda other: other ^ own)[: count // 2]
    assert set(nearest) <= set(choose(own, others, count))


def farm(size: int, seed: int) -> list[int]:
    chance = random.Random(seed)
    return [chance.getrandbits(160) for _ in range(size)]


def test_most_wishes_are_mutual_and_the_farm_hangs_together_in_few_steps() -> None:
    ids = farm(400, 1)
    wants = {own: set(choose(own, [i for i in ids if i != own], 20)) for own in ids}
    links: dict[int, set[int]] = {own: set(wanted) for own, wanted in wants.items()}
    for own, wanted in wants.items():
        for other in wanted:
            links[other].add(own)
    assert sum(len(peers) for peers in links.values()) / len(ids) < 30
    reached, edge, steps = {ids[0]}, {ids[0]}, 0
    while edge:
        edge = {peer for node in edge for peer in links[node]} - reached
        reached |= edge
        steps += bool(edge)
    assert len(reached) == len(ids)
    assert steps <= 5


def test_the_choice_is_made_again_when_members_changed_and_not_too_often() -> None:
    own, *others = farm(40, 2)
    kept = KeptLinks(own.to_bytes(20), 4)
    kept.review(lambda: others, 1, 0.0)
    first = kept.without({})
    assert len(first) == 4
    rest = [other for other in others if other.to_bytes(20) not in first]
    kept.review(lambda: rest, 2, 0.5)
    assert kept.without({}) == first
    kept.review(lambda: rest, 2, 1.5)
    assert not set(kept.without({})) & set(first)
    assert kept.without(dict.fromkeys(kept.without({}))) == []
