"""The states of members, as a function of what happens to their links."""

from overlay.links.messages import Hello, NodeInfo
from overlay.membership.members import Members, State

OWN, PEER = b"\0" * 20, b"\1" * 20
INFO = NodeInfo(node_id=PEER, name="n2", host="192.0.2.2", port=7460)


def hello(incarnation: int = 1, host: str = "192.0.2.2") -> Hello:
    node = NodeInfo(node_id=PEER, name="n2", host=host, port=7460)
    return Hello(version_min=1, version_max=1, farm="f", node=node, incarnation=incarnation)


def state(members: Members) -> State:
    member = members.get(PEER)
    assert member is not None
    return member.state


def linked() -> Members:
    members = Members(OWN, dead_after_s=0.3)
    members.link_up(hello(), 0.0)
    return members


def test_hearsay_makes_nobody_alive_but_is_worth_a_dial() -> None:
    members = Members(OWN, dead_after_s=0.3)
    assert members.heard_of(INFO, 0.0)
    assert not members.heard_of(INFO, 0.0)
    assert state(members) is State.DEAD
    assert [member.info for member in members.to_dial(0.0)] == [INFO]


def test_this_node_is_no_member_of_its_own_list() -> None:
    members = Members(PEER, dead_after_s=0.3)
    assert not members.heard_of(INFO, 0.0)
    assert list(members) == []


def test_a_broken_link_makes_a_suspect_and_a_refused_dial_the_dead() -> None:
    members = linked()
    assert members.link_down(PEER, left=False, now_s=1.0) is not None
    assert state(members) is State.SUSPECT
    assert members.dial_failed(PEER, refused=True, now_s=1.01, again_s=0.5)
    assert state(members) is State.DEAD
    assert members.to_dial(1.2) == []
    assert len(members.to_dial(1.6)) == 1


def test_a_suspect_that_cannot_be_reached_has_its_time() -> None:
    members = linked()
    members.link_down(PEER, left=False, now_s=1.0)
    assert not members.dial_failed(PEER, refused=False, now_s=1.1, again_s=0.1)
    assert members.overdue(1.2) == []
    assert [member.info for member in members.overdue(1.31)] == [INFO]
    assert members.overdue(1.4) == []


def test_a_suspect_that_comes_back_is_alive() -> None:
    members = linked()
    members.link_down(PEER, left=False, now_s=1.0)
    members.link_up(hello(), 1.1)
    assert state(members) is State.ALIVE
    assert members.overdue(9.0) == []


def test_who_says_goodbye_is_not_dialled_again() -> None:
    members = linked()
    members.link_down(PEER, left=True, now_s=1.0)
    assert state(members) is State.LEFT
    assert members.to_dial(99.0) == []


def test_a_link_that_breaks_twice_is_one_change() -> None:
    members = linked()
    assert members.link_down(PEER, left=False, now_s=1.0) is not None
    assert members.link_down(PEER, left=False, now_s=1.0) is None


def test_a_node_that_moved_is_known_by_its_new_address() -> None:
    members = linked()
    members.link_up(hello(incarnation=2, host="192.0.2.99"), 5.0)
    member = members.get(PEER)
    assert member is not None
    assert (member.info.host, member.incarnation) == ("192.0.2.99", 2)


def test_the_dead_of_long_ago_are_forgotten() -> None:
    members = linked()
    assert members.forget(10.0, 100.0) == []
    members.link_down(PEER, left=True, now_s=1.0)
    assert len(members.forget(10.0, 12.0)) == 1
    assert members.get(PEER) is None
