"""A subscriber may make so many calls at a time and no more, through whichever nodes."""

import contextlib
import re
import time
import urllib.request
from collections.abc import Iterator

import pytest

from deploy.lab import Lab
from overlay.control.proxy_messages import CallClaimed, ClaimCall, ReleaseCall
from tests.farm import calling
from tests.farm.asking import add_subscriber, eventually, sipfarm_json, states
from tests.farm.raw_phone import RawPhone
from tests.sip.message import Message, ack_of

NODES = ("n1", "n2", "n3")
WHY = "Too many calls of the subscriber at a time"
REPEAT_S = 0.5
WITHIN_S = 15.0


@pytest.fixture
def dora(lab: Lab) -> Iterator[RawPhone]:
    """Who may make two calls at a time."""
    add_subscriber(lab, "dora")
    sipfarm_json(lab, "n1", "subscriber", "set", "dora", "--calls-max", "2")
    with RawPhone(lab, "p5", "dora") as phone:
        yield phone
    eventually(lambda: counted_at(lab, "n1") == 0, "what has ended counts no more")


@pytest.fixture
def desk(lab: Lab) -> Iterator[RawPhone]:
    """A phone that takes any number of calls."""
    add_subscriber(lab, "desk")
    with RawPhone(lab, "p6", "desk") as phone:
        assert phone.register("n1").code == 200
        yield phone
        alive = [node for node, state in states(lab, "n3").items() if state == "alive"]
        assert phone.register(alive[0], ";expires=0").code == 200


def is_refused(caller: RawPhone, callee: RawPhone, node: str) -> bool:
    """Whether a new call is one too many."""
    call_id = f"more-{caller.call_id}-{next(caller.cseqs)}"
    answer = caller.ask(node, "INVITE", callee.aor, call_id=call_id)
    return (answer.code, WHY in answer.get("Warning")) == (403, True)


def ring(caller: RawPhone, callee: RawPhone, node: str, text: str) -> Message:
    """The INVITE as it comes to the callee; sent again until it does, as UDP wants."""
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        caller.send(node, text)
        with contextlib.suppress(TimeoutError):
            invite = callee.await_request("INVITE", REPEAT_S)
            if invite.get("CSeq") == Message(text).get("CSeq"):
                return invite
    raise AssertionError("the call never came")


def decline(caller: RawPhone, callee: RawPhone, node: str, text: str, invite: Message) -> None:
    """The callee is busy, and the caller is told so, or what another phone said."""
    branch = Message(text).branch
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        callee.reply(invite, 486, "Busy Here")
        with contextlib.suppress(TimeoutError):
            while (answer := caller.receive(REPEAT_S)).code < 300 or answer.branch != branch:
                pass
            caller.send(node, ack_of(text, answer))
            callee.await_request("ACK")
            return
    raise AssertionError("the refusal never came")


def test_the_third_call_is_refused_by_every_node_until_one_ends(
    lab: Lab, dora: RawPhone, desk: RawPhone
) -> None:
    assert sipfarm_json(lab, "n3", "subscriber", "show", "dora")["calls_max"] == 2
    calls = [calling.call(dora, desk, node) for node in ("n1", "n2")]
    for node in NODES:
        assert is_refused(dora, desk, node)
    caller, callee = calls.pop()
    assert callee.ask("n3", "BYE", caller).code == 200
    calls.append(calling.call(dora, desk, "n3"))
    assert is_refused(dora, desk, "n1")
    for caller, callee in calls:
        assert caller.ask("n2", "BYE", callee).code == 200


def test_a_call_that_nobody_takes_makes_room_at_once(
    lab: Lab, dora: RawPhone, desk: RawPhone
) -> None:
    held, other = calling.call(dora, desk, "n1")
    for number, node in enumerate(NODES):
        ghost = f"ghost-{number}-{dora.call_id}"
        assert dora.ask(node, "INVITE", f"sip:ghost@{lab.farm}", call_id=ghost).code == 404
        text = dora.proven(node, "INVITE", desk.aor, call_id=f"busy-{number}-{dora.call_id}")
        decline(dora, desk, node, text, ring(dora, desk, node, text))
    assert held.ask("n2", "BYE", other).code == 200


def test_a_call_with_a_transaction_makes_room_when_all_have_refused(
    lab: Lab, dora: RawPhone, desk: RawPhone
) -> None:
    """From a connection to UDP, and to two phones at once."""
    with RawPhone(lab, "p5", "dora", tcp_to="n1") as on_tcp:
        for number in range(4):
            call_id = f"tcp-{number}-{dora.call_id}"
            text = on_tcp.proven("n1", "INVITE", desk.aor, call_id=call_id)
            decline(on_tcp, desk, "n1", text, ring(on_tcp, desk, "n1", text))
    with RawPhone(lab, "p7", "desk") as second:
        assert second.register("n2").code == 200
        for number in range(4):
            text = dora.proven("n3", "INVITE", desk.aor, call_id=f"fork-{number}-{dora.call_id}")
            invite = ring(dora, desk, "n3", text)
            other = second.await_request("INVITE")
            second.reply(other, 480, "Temporarily Unavailable")
            second.await_request("ACK")
            decline(dora, desk, "n3", text, invite)
        assert second.register("n2", ";expires=0").code == 200
    for call in [calling.call(dora, desk, node) for node in ("n1", "n3")]:
        assert call[0].ask("n2", "BYE", call[1]).code == 200


def test_an_invite_that_comes_again_through_another_node_counts_once(
    lab: Lab, dora: RawPhone, desk: RawPhone
) -> None:
    held, other = calling.call(dora, desk, "n1")
    call_id = f"again-{dora.call_id}"
    ringing = []
    for node, cseq in (("n1", 1), ("n2", 11)):
        text = dora.proven(node, "INVITE", desk.aor, call_id=call_id, cseq=cseq)
        ringing.append((node, text, ring(dora, desk, node, text)))
    assert is_refused(dora, desk, "n3")
    for node, text, invite in ringing:
        decline(dora, desk, node, text, invite)
    text = dora.proven("n3", "INVITE", desk.aor, call_id=f"next-{dora.call_id}")
    decline(dora, desk, "n3", text, ring(dora, desk, "n3", text))
    assert held.ask("n2", "BYE", other).code == 200


def test_of_twenty_calls_at_once_two_ring(lab: Lab, dora: RawPhone, desk: RawPhone) -> None:
    texts = {f"storm-{number}-{dora.call_id}": NODES[number % 3] for number in range(20)}
    invites = {
        call_id: dora.proven(node, "INVITE", desk.aor, call_id=call_id)
        for call_id, node in texts.items()
    }
    refused: set[str] = set()
    ringing: dict[str, Message] = {}
    until_s = time.monotonic() + WITHIN_S
    while len(refused) + len(ringing) < len(texts) and time.monotonic() < until_s:
        for call_id in texts.keys() - refused - ringing.keys():
            dora.send(texts[call_id], invites[call_id])
        with contextlib.suppress(TimeoutError):
            while True:
                answer = dora.receive(REPEAT_S)
                call_id = answer.get("Call-ID")
                if answer.code == 403 and WHY in answer.get("Warning"):
                    dora.send(texts[call_id], ack_of(invites[call_id], answer))
                    refused.add(call_id)
        with contextlib.suppress(TimeoutError):
            while True:
                invite = desk.await_request("INVITE", 0.1)
                ringing[invite.get("Call-ID")] = invite
    assert (len(ringing), len(refused)) == (2, 18)
    assert not ringing.keys() & refused
    for call_id, invite in ringing.items():
        decline(dora, desk, texts[call_id], invites[call_id], invite)


def test_the_limit_outlives_the_node_that_counts(
    breakable_lab: Lab, dora: RawPhone, desk: RawPhone
) -> None:
    lab = breakable_lab
    held = [calling.call(dora, desk, node) for node in ("n2", "n3")]
    for dead in NODES:
        left = [node for node in NODES if node != dead]
        lab.kill(dead)
        eventually(lambda: states(lab, left[0])[dead] == "dead", f"{dead} is known to be dead")  # noqa: B023
        for node in left:
            assert counted_at(lab, node) == 2
            assert is_refused(dora, desk, node)
        lab.start(dead)
        lab.wait_ready(every_service=True)
        eventually(lambda: kept_at(lab, dead) >= 2, f"{dead} was told")  # noqa: B023
        assert counted_at(lab, dead) == 2
    caller, callee = held.pop()
    assert caller.ask("n1", "BYE", callee).code == 200
    held.append(calling.call(dora, desk, "n1"))
    assert is_refused(dora, desk, "n2")
    for caller, callee in held:
        assert caller.ask("n3", "BYE", callee).code == 200


def kept_at(lab: Lab, node: str) -> int:
    """Claims in a node's own memory."""
    where = f"{lab.node(node).address}:{lab.config(node).metrics.port}"
    with urllib.request.urlopen(f"http://{where}/metrics", timeout=5) as page:
        found = re.search(r"^sipfarm_claims (\d+)", page.read().decode(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def counted_at(lab: Lab, node: str) -> int:
    """What a node is told when it asks for one more."""
    aor = f"dora@{lab.farm}"
    asked = ClaimCall(aor=aor, call_id="probe", from_tag="x", cseq=1, calls_max=1)
    answer = lab.ask(node, asked)
    assert isinstance(answer, CallClaimed)
    if answer.granted:
        lab.ask(node, ReleaseCall(aor=aor, call_id="probe", from_tag="x", cseq=1))
    return answer.calls - answer.granted
