"""Figures that are more than one reading of a part."""

import pytest

from overlay.membership.member import Member
from overlay.membership.member_figures import out_of_service
from overlay.membership.members import State
from overlay.records.node_info import NodeInfo, Traits


def member(name: str, number: int, state: State, *, draining: bool) -> Member:
    info = NodeInfo(
        node_id=bytes([number]) * 20,
        name=name,
        host="192.0.2.1",
        port=9463,
        traits=Traits(draining=draining),
    )
    return Member(info=info, state=state, since_s=0.0, number=number)


@pytest.mark.parametrize(
    ("state", "drained"), [("alive", True), ("suspect", True), ("dead", True), ("left", False)]
)
def test_a_drained_node_is_out_of_service_until_it_leaves(state: str, drained: bool) -> None:
    n2 = member("n2", 2, State(state), draining=True)
    n3 = member("n3", 3, State.ALIVE, draining=False)
    assert out_of_service([n2, n3]) == (["n2"] if drained else [])


def test_a_node_with_the_name_of_a_drained_one_takes_its_place() -> None:
    old = member("n2", 2, State.DEAD, draining=True)
    assert out_of_service([old, member("n2", 3, State.ALIVE, draining=False)]) == []
    assert out_of_service([old, member("n2", 3, State.ALIVE, draining=True)]) == ["n2"]
    assert out_of_service([old, member("n2", 3, State.DEAD, draining=False)]) == ["n2"]
