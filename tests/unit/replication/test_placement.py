"""Which of the nearest nodes hold a record, with zones and with nodes that drain."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from overlay.records.node_info import NodeInfo, Traits
from overlay.replication.placement import choose

REPLICAS, NEEDED = 3, 2


def node(number: int, zone: str = "", draining: bool = False) -> NodeInfo:
    return NodeInfo(
        node_id=number.to_bytes(20),
        name=f"n{number}",
        host="192.0.2.1",
        port=7460,
        traits=Traits(zone=zone, draining=draining),
    )


farms = st.lists(
    st.tuples(st.sampled_from(["", "a", "b", "c", "d"]), st.booleans()), min_size=1, max_size=24
).map(lambda drawn: [node(number, *each) for number, each in enumerate(drawn)])


def test_without_zones_the_nearest() -> None:
    nodes = [node(number) for number in range(6)]
    assert choose(nodes, REPLICAS, NEEDED) == tuple(nodes[:3])
    assert choose(nodes[:2], REPLICAS, NEEDED) == tuple(nodes[:2])


def test_three_zones_have_one_each() -> None:
    nodes = [node(1, "a"), node(2, "a"), node(3, "a"), node(4, "b"), node(5, "b"), node(6, "c")]
    assert [each.name for each in choose(nodes, REPLICAS, NEEDED)] == ["n1", "n4", "n6"]


def test_of_two_zones_none_has_all() -> None:
    nodes = [node(1, "a"), node(2, "a"), node(3, "a"), node(4, "b")]
    assert [each.name for each in choose(nodes, REPLICAS, NEEDED)] == ["n1", "n2", "n4"]


def test_who_drains_gets_none() -> None:
    nodes = [node(1, draining=True), node(2), node(3), node(4)]
    assert [each.name for each in choose(nodes, REPLICAS, NEEDED)] == ["n2", "n3", "n4"]
    # Two others are enough for a write, and one is not.
    assert [each.name for each in choose(nodes[:3], REPLICAS, NEEDED)] == ["n2", "n3"]
    assert [each.name for each in choose(nodes[:2], REPLICAS, NEEDED)] == ["n1", "n2"]


@given(farms)
def test_what_always_holds(nodes: list[NodeInfo]) -> None:
    chosen = choose(nodes, REPLICAS, NEEDED)
    staying = [each for each in nodes if not each.draining]
    pool = staying if len(staying) >= NEEDED else nodes
    assert len(chosen) == min(REPLICAS, len(pool))
    assert [each for each in pool if each in chosen] == list(chosen), "nearest first, each once"
    zones = Counter(each.zone for each in pool)
    held = Counter(each.zone for each in chosen)
    most = -(-REPLICAS // len(zones))
    for zone, count in held.items():
        full = all(held[other] >= min(most, zones[other]) for other in zones if other != zone)
        assert count <= most or full, "a zone holds more than its share while others have room"


@given(farms, st.integers(0, 23))
def test_losing_one_moves_no_more_than_it_must(nodes: list[NodeInfo], lost: int) -> None:
    plain = [node(number) for number in range(len(nodes))]
    gone = plain[lost % len(plain)]
    before = choose(plain, REPLICAS, NEEDED)
    after = choose([each for each in plain if each is not gone], REPLICAS, NEEDED)
    assert {each for each in before if each is not gone} <= set(after)
