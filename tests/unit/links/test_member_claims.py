"""Claims merge to the same, in whatever order they come."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.links.member_claims import (
    BY_RANK,
    RANK,
    MemberClaim,
    agreed,
    merge,
    next_incarnation,
    order,
    placed_alike,
    sane,
    sane_node,
)
from overlay.links.member_messages import MemberUpdate
from overlay.membership.members import Members, State
from overlay.records.node_info import NodeInfo, Traits
from tests.unit.membership.test_members import INFO, OTHERS, PEER, hello, members_of

CLAIMS = st.tuples(st.integers(0, 5), st.sampled_from(BY_RANK))
UPDATES = st.builds(
    lambda claim, origin: MemberUpdate(
        node=INFO, state=RANK[claim[1]], incarnation=claim[0], origin=origin
    ),
    CLAIMS,
    st.sampled_from(OTHERS),
)


@given(CLAIMS, CLAIMS, CLAIMS)
def test_merging_is_commutative_associative_and_idempotent(
    a: MemberClaim, b: MemberClaim, c: MemberClaim
) -> None:
    assert merge(a, b) == merge(b, a)
    assert merge(a, merge(b, c)) == merge(merge(a, b), c)
    assert merge(a, a) == a
    assert order(merge(a, b)) >= order(a)


def told(updates: list[MemberUpdate]) -> Members:
    members = members_of()
    members.link_up(hello(incarnation=1), 0.0)
    for update in updates:
        members.learn(update, 1.0)
    return members


@given(st.lists(UPDATES, max_size=12), st.randoms(use_true_random=False))
def test_nodes_that_heard_the_same_agree_whatever_the_order(
    updates: list[MemberUpdate], chance: random.Random
) -> None:
    shuffled = [*updates, *updates]
    chance.shuffle(shuffled)
    one, other = told(updates).get(PEER), told(shuffled).get(PEER)
    assert one is not None
    assert other is not None
    assert one.claim == other.claim


@given(st.lists(UPDATES, max_size=12))
def test_hearsay_alone_kills_nobody_who_has_a_link(updates: list[MemberUpdate]) -> None:
    members = told(updates)
    assert not {m.state for m in members} & {State.DEAD, State.LEFT}
    members.probe_answered(PEER, 1.1)
    assert {m.state for m in members} == {State.ALIVE}


def test_nonsense_is_not_taken_in() -> None:
    good = MemberUpdate(node=INFO, state=0, incarnation=1, origin=OTHERS[0])
    assert sane(good)

    def node(**changes: object) -> NodeInfo:
        values = {"node_id": PEER, "name": "n2", "host": "192.0.2.2", "port": 7460, **changes}
        return NodeInfo(**values)  # type: ignore[arg-type]

    for info in (node(node_id=b""), node(name="x" * 64), node(host=""), node(port=0)):
        assert not sane(MemberUpdate(node=info, state=0, incarnation=1, origin=OTHERS[0]))
    for state, incarnation, origin in (
        (4, 1, PEER),
        (-1, 1, PEER),
        (0, 1 << 60, PEER),
        (0, 1, b""),
    ):
        assert not sane(
            MemberUpdate(node=INFO, state=state, incarnation=incarnation, origin=origin)
        )


@given(st.integers(0, 1 << 48), st.integers(1, 1 << 48))
def test_an_incarnation_is_never_had_twice(before: int, now_ms: int) -> None:
    assert next_incarnation(before, now_ms) > before


traits = st.none() | st.builds(
    Traits,
    draining=st.booleans(),
    zone=st.sampled_from(["", "a", "b"]),
    capacity=st.integers(0, 3),
    proxy_away=st.booleans(),
)


@pytest.mark.parametrize(
    ("said", "good"),
    [
        (Traits(transports=("tls", "wss"), address6="2001:db8::1"), True),
        (Traits(address6="192.0.2.1"), False),
        (Traits(address6="fe80::1%eth0"), False),
        (Traits(address6="n1.farm.test"), False),
        (Traits(transports=("tls",) * 9), False),
        (Traits(transports=("x" * 64,)), False),
        (Traits(software="0.3.0", metrics="192.0.2.1:9464"), True),
        (Traits(software="0.3.0", metrics="[2001:db8::1]:9464"), True),
        (Traits(software="x" * 64), False),
        (Traits(metrics="192.0.2.1"), False),
        (Traits(metrics="192.0.2.1:0"), False),
        (Traits(metrics="192.0.2.1:99999"), False),
        (Traits(metrics="n1.farm.test:9464"), False),
        (Traits(metrics="2001:db8::1:9464"), False),
        (Traits(metrics="[fe80::1%eth0]:9464"), False),
        (Traits(metrics="192.0.2.1:9464/x"), False),
    ],
)
def test_traits_that_cannot_be_ours_are_refused(said: Traits, good: bool) -> None:
    info = NodeInfo(node_id=b"n" * 20, name="n1", host="192.0.2.1", port=7460, traits=said)
    assert sane_node(info) is good


@given(traits, traits, traits)
def test_traits_are_agreed_in_any_order(
    one: Traits | None, two: Traits | None, three: Traits | None
) -> None:
    assert agreed(one, two) == agreed(two, one)
    assert agreed(agreed(one, two), three) == agreed(one, agreed(two, three))
    assert agreed(one, one) == one
    assert agreed(one, None) == one, "who does not know them takes nothing away"


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (Traits(), Traits(proxy_away=True), True),
        (Traits(zone="a", proxy_away=True), Traits(zone="a"), True),
        (Traits(), Traits(software="0.3.0", metrics="192.0.2.1:9464"), True),
        (Traits(proxy_away=True), Traits(draining=True), False),
        (Traits(zone="a"), Traits(zone="b"), False),
        (None, None, True),
        (None, Traits(proxy_away=True), False),
    ],
)
def test_a_proxy_that_is_away_moves_no_record(
    one: Traits | None, other: Traits | None, alike: bool
) -> None:
    assert placed_alike(one, other) is alike
    assert placed_alike(other, one) is alike
