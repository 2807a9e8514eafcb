"""Any node forwards alike what comes again, late, twice or by another way."""

import os
import signal
from collections.abc import Iterator

import pytest

from deploy.lab import Lab
from tests.farm.asking import add_subscriber, ended_record, eventually, one_record
from tests.farm.calling import call
from tests.farm.raw_phone import RawPhone
from tests.sip.message import Message, ack_of, cancel_of, parsed, response

NODES = ("n1", "n2", "n3")
SUBSCRIBERS = ("caller", "desk")


@pytest.fixture
def desk(lab: Lab) -> Iterator[RawPhone]:
    """The callee's phone, registered at n1; over UDP, so that every node reaches it."""
    for user in SUBSCRIBERS:
        add_subscriber(lab, user)
    with RawPhone(lab, "p4", "desk") as phone:
        assert phone.register("n1").code == 200
        yield phone
        assert phone.register("n1", ";expires=0").code == 200


@pytest.fixture
def stranger(lab: Lab) -> Iterator[RawPhone]:
    """A caller who needs no proof, so that one message is all there is to a call."""
    with RawPhone(lab, "p5", "stranger") as phone:
        yield phone


def _invite(stranger: RawPhone, desk: RawPhone, call_id: str) -> str:
    return stranger.request_text(
        "INVITE", desk.aor, from_uri="sip:x@example.org", call_id=call_id, cseq=1
    )


def _next(phone: RawPhone, method: str) -> bytes:
    while True:
        raw = phone.receive_bytes(20)
        if raw.startswith(f"{method} ".encode()):
            return raw


def _via(raw: bytes) -> str:
    return parsed(raw).get("Via")


def test_every_node_sends_the_same_bytes_and_what_ends_an_invite_has_its_branch(
    lab: Lab, desk: RawPhone, stranger: RawPhone
) -> None:
    """RFC 3261 16.11, 16.10, 17.1.1.3."""
    invite = _invite(stranger, desk, stranger.call_id)
    seen = []
    for node in NODES:
        stranger.send(node, invite)
        seen.append(_next(desk, "INVITE"))
        assert desk.register(node).code == 200, "it registers again in between"
    assert len(set(seen)) == 1
    answer = Message(response(Message(invite), 486, "Busy Here"))
    refusal = ack_of(invite, answer)
    for text, method in ((cancel_of(invite), "CANCEL"), (refusal, "ACK")):
        for node in NODES:
            stranger.send(node, text)
            assert _via(_next(desk, method)) == _via(seen[0]), (method, node)


def test_the_farms_own_answer_is_the_same_when_it_is_asked_again(
    lab: Lab, stranger: RawPhone
) -> None:
    """RFC 3261 8.2.7: the same To tag, though nobody remembers the request; and no 100."""
    text = stranger.request_text(
        "INVITE",
        f"sip:nobody-at-all@{lab.farm}",
        from_uri="sip:x@example.org",
        call_id=stranger.call_id,
        cseq=1,
    )
    answers = []
    for _ in range(3):
        stranger.send("n2", text)
        answers.append(stranger.receive())
    assert {answer.code for answer in answers} == {404}
    assert len({answer.get("To") for answer in answers}) == 1
    assert ";tag=" in answers[0].get("To")


def test_a_cancel_follows_its_invite_to_where_the_phone_was(
    lab: Lab, desk: RawPhone, stranger: RawPhone
) -> None:
    invite = _invite(stranger, desk, stranger.call_id)
    stranger.send("n2", invite)
    seen = _next(desk, "INVITE")
    assert desk.register("n1", ";expires=0").code == 200
    with RawPhone(lab, "p6", "desk") as moved:
        assert moved.register("n3").code == 200
        stranger.send("n2", cancel_of(invite))
        assert _via(_next(desk, "CANCEL")) == _via(seen)
        assert moved.is_left_alone("CANCEL", 0.2)
        assert moved.register("n1", ";expires=0").code == 200


def test_a_call_whose_node_dies_while_it_rings_is_made_once_by_another(
    breakable_lab: Lab, desk: RawPhone, stranger: RawPhone
) -> None:
    lab = breakable_lab
    invite = _invite(stranger, desk, stranger.call_id)
    stranger.send("n2", invite)
    first = _next(desk, "INVITE")
    lab.kill("n2")
    stranger.send("n3", invite)
    again = desk.await_request("INVITE")
    assert again.get("Via") == _via(first)
    desk.reply(again, 200, "OK", [f"Contact: <{desk.contact}>"])
    desk.reply(again, 200, "OK", [f"Contact: <{desk.contact}>"])
    assert [stranger.await_answer().code, stranger.await_answer().code] == [200, 200]
    record = one_record(lab, stranger.call_id)
    assert (record.state, record.nodes) == ("open", ("n3",))


def test_a_subscriber_whose_node_dies_proves_himself_to_another(
    breakable_lab: Lab, desk: RawPhone
) -> None:
    """A nonce is its node's, so the call is a new request, of the same Call-ID and one record."""
    lab = breakable_lab
    with RawPhone(lab, "p5", "caller") as caller:
        text = caller.request_text("INVITE", desk.aor, call_id=caller.call_id, cseq=1)
        caller.send("n2", text)
        challenge = caller.await_answer()
        caller.send("n2", ack_of(text, challenge))
        proof = caller.proof_for(challenge, "INVITE", desk.aor)
        text = caller.request_text("INVITE", desk.aor, [proof], call_id=caller.call_id, cseq=2)
        caller.send("n2", text)
        desk.await_request("INVITE")
        lab.kill("n2")
        caller.send("n3", text)
        stale = caller.await_answer()
        assert (stale.code, "stale=true" in stale.get("Proxy-Authenticate")) == (407, True)
        caller.send("n3", ack_of(text, stale))
        proof = caller.proof_for(stale, "INVITE", desk.aor)
        text = caller.request_text("INVITE", desk.aor, [proof], call_id=caller.call_id, cseq=3)
        caller.send("n3", text)
        desk.reply(desk.await_request("INVITE"), 200, "OK", [f"Contact: <{desk.contact}>"])
        assert caller.await_answer().code == 200
        assert one_record(lab, caller.call_id).nodes == ("n3",)


def test_a_bye_that_comes_twice_by_two_nodes_ends_one_call_once(lab: Lab, desk: RawPhone) -> None:
    with RawPhone(lab, "p5", "caller") as caller:
        calling, _called = call(caller, desk, "n1")
        bye = calling.text("BYE")
        for node in ("n2", "n3"):
            caller.send(node, bye)
        first, again = _next(desk, "BYE"), _next(desk, "BYE")
        assert first == again
        record = ended_record(lab, calling.call_id)
        assert (record.state, record.hangup) == ("complete", "caller")
        # What is late changes nothing any more.
        caller.send("n1", bye)
        assert _next(desk, "BYE") == first
        assert one_record(lab, calling.call_id).duration_ms == record.duration_ms


def test_a_node_that_loses_a_worker_is_gone_as_a_whole_and_others_go_on(
    breakable_lab: Lab, desk: RawPhone, stranger: RawPhone
) -> None:
    """Half a Kamailio would lose a part of what it is sent: its main process ends all, and its
    supervisor starts it again."""
    lab = breakable_lab
    own = {node.name: node for node in lab.describe().nodes}["n2"].processes
    (kamailio,) = (each for each in own if each.name == "kamailio")
    workers = [pid for pid in kamailio.pids if pid != kamailio.pid]
    invite = _invite(stranger, desk, stranger.call_id)
    stranger.send("n2", invite)
    seen = _next(desk, "INVITE")
    os.kill(workers[0], signal.SIGKILL)
    eventually(lambda: not any(map(_runs, kamailio.pids)), "no process of it is left")
    stranger.send("n3", invite)
    assert _next(desk, "INVITE") == seen
    lab.start("n2", "kamailio")
    lab.wait_ready(every_service=True)
    stranger.send("n2", invite)
    assert _next(desk, "INVITE") == seen


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
