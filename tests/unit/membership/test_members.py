"""The states of members, as a function of what happens to their links."""

import random

from msgspec.structs import replace

from overlay.links.member_claims import RANK
from overlay.links.member_messages import MemberUpdate
from overlay.links.peer_protocol import Hello
from overlay.membership.members import Learned, Members, Patience, Redial, State
from overlay.records.node_info import NodeInfo, Traits

OWN, PEER = b"\0" * 20, b"\1" * 20
OTHERS = [bytes([n]) * 20 for n in range(2, 8)]
INFO = NodeInfo(node_id=PEER, name="n2", host="192.0.2.2", port=7460)
PATIENCE = Patience(min_s=0.25, max_factor=4, confirmations=3)


def members_of(own: bytes = OWN) -> Members:
    return Members(own, PATIENCE, Redial(first_s=0.5, longest_s=4.0), random.Random(1))


def hello(incarnation: int = 1, host: str = "192.0.2.2", node_id: bytes = PEER) -> Hello:
    node = NodeInfo(node_id=node_id, name="n2", host=host, port=7460)
    return Hello(version_min=1, version_max=1, farm="f", node=node, incarnation=incarnation)


def said(state: State, incarnation: int = 1, origin: bytes = OTHERS[0]) -> MemberUpdate:
    return MemberUpdate(node=INFO, state=RANK[state], incarnation=incarnation, origin=origin)


def state(members: Members) -> State:
    member = members.get(PEER)
    assert member is not None
    return member.state


def linked() -> Members:
    """A peer, and six others."""
    members = members_of()
    members.link_up(hello(), 0.0)
    for other in OTHERS:
        members.link_up(hello(node_id=other), 0.0)
    return members


def test_hearsay_makes_nobody_alive_but_is_worth_a_dial() -> None:
    members = members_of()
    assert members.heard_of(INFO, 0.0)
    assert not members.heard_of(INFO, 0.0)
    assert state(members) is State.DEAD
    assert [member.info for member in members.to_dial(0.0)] == [INFO]


def test_this_node_is_no_member_of_its_own_list() -> None:
    members = members_of(PEER)
    assert not members.heard_of(INFO, 0.0)
    assert list(members) == []


def test_a_broken_link_makes_a_suspect_and_a_refused_dial_the_dead() -> None:
    members = linked()
    assert members.link_down(PEER, left=False, now_s=1.0) is not None
    assert state(members) is State.SUSPECT
    assert members.dial_failed(PEER, refused=True, now_s=1.01)
    assert state(members) is State.DEAD
    assert members.to_dial(1.2) == []
    assert len(members.to_dial(2.1)) == 1


def test_a_suspect_that_cannot_be_reached_has_its_time() -> None:
    members = linked()
    members.link_down(PEER, left=False, now_s=1.0)
    assert not members.dial_failed(PEER, refused=False, now_s=1.1)
    assert members.next_deadline_s() == 2.0
    assert members.overdue(1.99) == []
    assert [member.info for member, _ in members.overdue(2.0)] == [INFO]
    assert members.overdue(2.1) == []


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


def test_a_missed_probe_makes_a_suspect_whom_an_answer_clears() -> None:
    members = linked()
    assert members.probe_missed(PEER, 1.0) is not None
    assert state(members) is State.SUSPECT
    assert members.probe_missed(PEER, 1.1) is None, "it is no news a second time"
    assert members.probe_answered(PEER, 1.2)
    assert state(members) is State.ALIVE
    assert members.overdue(9.0) == []


def test_the_dead_who_answer_on_a_second_link_are_alive() -> None:
    members = linked()
    members.probe_missed(PEER, 1.0)
    members.overdue(9.0)
    assert state(members) is State.DEAD
    assert members.probe_answered(PEER, 9.1) is not None
    assert state(members) is State.ALIVE


def test_others_that_find_the_same_shorten_the_wait() -> None:
    members = linked()
    members.probe_missed(PEER, 1.0)
    assert members.learn(said(State.SUSPECT, origin=OTHERS[0]), 1.1) == Learned(news=True)
    assert members.learn(said(State.SUSPECT, origin=OTHERS[0]), 1.1) == Learned()
    for origin in OTHERS[1:3]:
        assert members.learn(said(State.SUSPECT, origin=origin), 1.1).news
    assert members.next_deadline_s() == 1.25
    assert [member.info for member, _ in members.overdue(1.25)] == [INFO]


def test_a_suspect_refutes_with_a_higher_incarnation_only() -> None:
    members = linked()
    members.learn(said(State.SUSPECT), 1.0)
    assert state(members) is State.SUSPECT
    assert members.learn(said(State.ALIVE), 1.1) == Learned()
    assert state(members) is State.SUSPECT
    assert members.learn(said(State.ALIVE, incarnation=2), 1.2) == Learned(news=True)
    assert state(members) is State.ALIVE
    assert members.learn(said(State.SUSPECT), 1.3) == Learned(), "that was refuted"


def test_who_is_said_to_be_dead_is_checked_where_there_is_a_link() -> None:
    members = linked()
    assert members.learn(said(State.DEAD), 1.0) == Learned(news=True, check=True)
    assert state(members) is State.SUSPECT
    assert members.next_deadline_s() == 1.25
    assert members.probe_answered(PEER, 1.1)
    assert members.learn(said(State.DEAD, origin=OTHERS[3]), 1.2) == Learned()
    assert state(members) is State.ALIVE


def test_who_is_said_to_be_dead_and_has_no_link_is_dead() -> None:
    members = linked()
    members.link_down(PEER, left=False, now_s=1.0)
    assert members.learn(said(State.DEAD), 1.01) == Learned(news=True)
    assert state(members) is State.DEAD


def test_a_restarted_node_is_not_taken_for_the_one_that_died() -> None:
    members = linked()
    members.link_up(hello(incarnation=5), 1.0)
    assert members.learn(said(State.DEAD, incarnation=4), 1.1) == Learned()
    assert state(members) is State.ALIVE


def test_a_newcomer_that_others_know_is_worth_a_dial() -> None:
    members = members_of()
    assert members.learn(said(State.ALIVE), 1.0) == Learned(news=True, dial=True)
    assert [member.info for member in members.to_dial(1.0)] == [INFO]
    assert members_of().learn(said(State.DEAD), 1.0) == Learned()


def test_one_that_left_and_is_back_is_dialled() -> None:
    members = linked()
    members.link_down(PEER, left=True, now_s=1.0)
    assert members.learn(said(State.ALIVE, incarnation=2), 2.0) == Learned(news=True, dial=True)
    assert [member.info for member in members.to_dial(2.0)] == [INFO]


def test_others_hear_of_a_leave_before_the_link_breaks() -> None:
    members = linked()
    members.learn(said(State.LEFT), 1.0)
    assert state(members) is State.ALIVE
    members.link_down(PEER, left=False, now_s=1.1)
    assert state(members) is State.LEFT


def test_a_node_that_was_frozen_gives_its_suspects_that_time_again() -> None:
    members = linked()
    members.probe_missed(PEER, 1.0)
    members.postpone(10.0)
    assert members.overdue(11.0) == []


def test_dials_of_the_dead_become_rarer() -> None:
    members = linked()
    members.link_down(PEER, left=False, now_s=0.0)
    waits = []
    for _ in range(8):
        members.dial_failed(PEER, refused=True, now_s=0.0)
        member = members.get(PEER)
        assert member is not None
        waits.append(member.dial_after_s)
    assert 0.5 <= waits[0] <= 1.0
    assert 4.0 <= waits[-1] <= 8.0


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
    members = members_of()
    members.link_up(hello(), 0.0)
    assert members.forget(10.0, 100.0) == []
    members.link_down(PEER, left=True, now_s=1.0)
    assert len(members.forget(10.0, 12.0)) == 1
    assert members.get(PEER) is None


def beyond_the_mesh() -> Members:
    """A node that keeps three links, of seven members that the farm tells of."""
    members = Members(OWN, PATIENCE, Redial(first_s=0.5, longest_s=4.0), random.Random(1), 3)
    for other in OTHERS:
        node = NodeInfo(node_id=other, name=f"o{other[0]}", host="192.0.2.9", port=1)
        update = MemberUpdate(node=node, state=0, incarnation=1, origin=other)
        members.learn(update, 0.0)
    members.by_hearsay(0.0)
    assert members.learn(said(State.ALIVE), 0.0).news
    return members


def test_beyond_the_mesh_hearsay_of_life_has_to_do() -> None:
    members = beyond_the_mesh()
    assert not members.mesh
    assert state(members) is State.ALIVE
    assert members.living == 8
    assert all(member.state is State.ALIVE and not member.proven for member in members)


def test_beyond_the_mesh_only_links_that_are_kept_are_dialled() -> None:
    members = beyond_the_mesh()
    wanted = [member.info.node_id for member in members.to_dial(2.0)]
    assert len(wanted) == 3
    assert all(members.kept(node_id) for node_id in wanted)
    assert sum(members.kept(member.info.node_id) for member in members) == 3


def test_beyond_the_mesh_nobody_is_dead_by_hearsay_at_once() -> None:
    members = beyond_the_mesh()
    members.learn(said(State.DEAD), 1.0)
    assert state(members) is State.SUSPECT
    members.learn(said(State.ALIVE, incarnation=2), 1.1)
    assert state(members) is State.ALIVE
    members.learn(said(State.DEAD, incarnation=2), 2.0)
    assert [(member.info, news) for member, news in members.overdue(2.26)] == [(INFO, False)]
    assert state(members) is State.DEAD


def test_a_link_that_ends_by_agreement_says_nothing_of_its_peer() -> None:
    members = beyond_the_mesh()
    members.link_up(hello(), 1.0)
    members.parted(PEER, 2.0)
    assert members.link_down(PEER, left=False, now_s=2.0) is None
    assert state(members) is State.ALIVE
    member = members.get(PEER)
    assert member is not None
    assert member.proven
    assert not member.linked


def test_who_is_alive_by_hearsay_and_refuses_is_dead_at_the_second_try() -> None:
    members = beyond_the_mesh()
    assert members.dial_failed(PEER, refused=True, now_s=1.0) is not None
    assert state(members) is State.SUSPECT
    assert members.dial_failed(PEER, refused=True, now_s=1.5) is not None
    assert state(members) is State.DEAD


def test_a_farm_that_grows_beyond_the_mesh_takes_over_what_it_heard() -> None:
    members = Members(OWN, PATIENCE, Redial(first_s=0.5, longest_s=4.0), random.Random(1), 3)
    members.learn(said(State.ALIVE), 0.0)
    assert state(members) is State.DEAD
    assert members.by_hearsay(0.0) == []
    for other in OTHERS:
        members.link_up(hello(node_id=other), 0.0)
    assert [member.info for member in members.by_hearsay(1.0)] == [INFO]
    assert state(members) is State.ALIVE


def test_of_the_dead_beyond_the_mesh_one_is_dialled_at_a_time() -> None:
    members = beyond_the_mesh()
    for other in OTHERS:
        members.link_up(hello(node_id=other), 0.0)
    for number in range(20, 40):
        node = NodeInfo(node_id=bytes([number]) * 20, name="x", host="192.0.2.3", port=1)
        members.heard_of(node, 0.0)
    members.link_up(hello(), 0.0)
    assert len(members.to_dial(9.0)) == 1
    assert len(members.to_dial(9.1)) == 0
    assert len(members.to_dial(9.6)) == 1


def test_what_a_member_says_of_itself_reaches_those_with_a_link() -> None:
    members = members_of()
    members.link_up(hello(incarnation=5), 0.0)
    drains = replace(INFO, traits=Traits(draining=True))
    update = MemberUpdate(node=drains, state=0, incarnation=6, origin=INFO.node_id)
    assert members.learn(update, 1.0).news
    member = members.get(PEER)
    assert member is not None
    assert member.info.draining
    # A second link says what held when it was dialled; an older node passes on less.
    members.link_up(hello(incarnation=5), 2.0)
    assert not members.learn(replace(update, node=INFO), 3.0).news
    assert member.info.draining
    back = replace(INFO, traits=Traits())
    assert members.learn(replace(update, node=back, incarnation=7), 4.0).news
    assert not member.info.draining


def test_traits_that_an_older_node_dropped_are_taken_from_the_next_who_knows() -> None:
    members = members_of()
    members.link_up(hello(incarnation=5), 0.0)
    stripped = MemberUpdate(node=INFO, state=0, incarnation=6, origin=INFO.node_id)
    assert members.learn(stripped, 1.0).news
    whole = replace(stripped, node=replace(INFO, traits=Traits(draining=True)))
    assert members.learn(whole, 2.0).news
    assert not members.learn(whole, 3.0).news
    member = members.get(PEER)
    assert member is not None
    assert member.info.draining
