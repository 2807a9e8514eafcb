"""Which news is gossiped, how often, and when no longer."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.links.member_claims import RANK, State
from overlay.links.member_messages import MemberUpdate
from overlay.membership.gossip_queue import GossipQueue, times_told
from overlay.records.node_info import NodeInfo


def update(
    subject: int, state: State = State.ALIVE, incarnation: int = 1, origin: int = 99
) -> MemberUpdate:
    node = NodeInfo(node_id=bytes([subject]) * 20, name="n", host="192.0.2.1", port=1)
    return MemberUpdate(
        node=node, state=RANK[state], incarnation=incarnation, origin=bytes([origin]) * 20
    )


def test_an_update_is_told_so_often_and_then_forgotten() -> None:
    queue = GossipQueue(10)
    queue.add(update(1))
    assert [len(queue.take(5, 3)) for _ in range(4)] == [1, 1, 1, 0]


def test_the_least_told_goes_first() -> None:
    queue = GossipQueue(10)
    queue.add(update(1))
    queue.take(1, 9)
    queue.add(update(2))
    assert queue.take(1, 9) == (update(2),)


def test_a_stronger_claim_takes_the_weaker_ones_place() -> None:
    queue = GossipQueue(10)
    queue.add(update(1, State.SUSPECT))
    queue.add(update(1, State.ALIVE, incarnation=2))
    queue.add(update(1, State.DEAD))
    assert queue.take(9, 9) == (update(1, State.ALIVE, incarnation=2),)


def test_each_who_suspects_is_told_of() -> None:
    queue = GossipQueue(10)
    for origin in (7, 8, 8):
        queue.add(update(1, State.SUSPECT, origin=origin))
    assert len(queue) == 2
    queue.drop(bytes([1]) * 20)
    assert len(queue) == 0


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(list(State)), st.integers(0, 3))))
def test_the_queue_is_bounded(what: list[tuple[int, State, int]]) -> None:
    queue = GossipQueue(5)
    for subject, state, incarnation in what:
        queue.add(update(subject, state, incarnation))
        assert len(queue) <= 5


def test_times_grow_with_the_logarithm_of_the_farm() -> None:
    assert [times_told(3, peers) for peers in (0, 1, 2, 8, 999)] == [0, 1, 2, 7, 21]
