"""Calls whose phones vanish are closed: session timers on the wire, and the records."""

from collections.abc import Iterator

import pytest

from deploy.lab import Lab
from tests.farm.asking import add_subscriber, eventually, records
from tests.farm.raw_phone import RawPhone
from tests.sip.dialog import Dialog
from tests.sip.message import Message, ack_of

SETTINGS = {
    "billing.session_s": 4,
    "billing.session_min_s": 2,
    "billing.close_grace_s": 1,
    "billing.attempts": True,
}


@pytest.fixture
def farm(no_lab: None) -> Lab:
    """A farm with very short sessions."""
    lab = Lab.up(3, settings=SETTINGS)
    for user in ("alice", "bob"):
        add_subscriber(lab, user)
    return lab


@pytest.fixture
def alice(farm: Lab) -> Iterator[RawPhone]:
    """Alice's phone, at n1."""
    with RawPhone(farm, "p1", "alice") as phone:
        assert phone.register("n1").code == 200
        yield phone


@pytest.fixture
def bob(farm: Lab) -> Iterator[RawPhone]:
    """Bob's phone."""
    with RawPhone(farm, "p2", "bob") as phone:
        yield phone


class Call:
    """A call from bob to alice, whom the caller reaches through n2."""

    def __init__(self, bob: RawPhone, alice: RawPhone, call_id: str, *supported: str) -> None:
        self.bob, self.alice, self.call_id = bob, alice, call_id
        self.invite = bob.proven("n2", "INVITE", alice.aor, supported, call_id=call_id)
        bob.send("n2", self.invite)
        self.offered = alice.await_request("INVITE")

    def answer(self, code: int, reason: str, *fields: str) -> Message:
        """What the caller sees of alice's answer."""
        contact = f"Contact: <{self.alice.contact}>"
        self.alice.reply(self.offered, code, reason, [contact, *fields])
        self.answered = self.bob.await_answer()
        return self.answered

    def refresh(self, node: str, cseq: int) -> None:
        """An UPDATE of the caller through another node (RFC 3311); alice's phone is silent."""
        dialog = Dialog.of_caller(self.answered)
        expires = "Session-Expires: 4;refresher=uac"
        text = self.bob.text_within(dialog, "UPDATE", expires, cseq=cseq)
        self.bob.send(node, text)
        self.alice.await_request("UPDATE")


def test_sessions(farm: Lab, alice: RawPhone, bob: RawPhone) -> None:
    call = Call(bob, alice, "vanishing", "Supported: timer")
    assert call.offered.get("Session-Expires") == "4"
    answer = call.answer(200, "OK")
    assert answer.get("Session-Expires") == "4;refresher=uac"
    assert answer.get("Require") == "timer"
    # Refreshed once, through n3; then nothing more is heard.
    call.refresh("n3", 3)
    call.refresh("n3", 3)
    (record,) = records(farm, "n1", "vanishing")
    assert record.state == "open"
    assert len(record.event_ids) == 2

    def closed() -> bool:
        (record,) = records(farm, "n3", "vanishing")
        return record.state == "closed"

    waited_s = eventually(closed, "the call is closed", 30)
    assert waited_s > 3
    (record,) = records(farm, "n2", "vanishing")
    assert (record.cause, len(record.event_ids)) == ("lost-bye", 3)
    assert 0 < record.duration_ms < 4_000, "no longer than until the refresh"

    # What the callee says holds, and a caller without timers is left alone.
    call = Call(bob, alice, "plain")
    assert call.answer(200, "OK").all("Session-Expires") == []
    call = Call(bob, alice, "callees", "Supported: timer")
    answer = call.answer(200, "OK", "Session-Expires: 3;refresher=uas", "Require: timer")
    assert answer.all("Session-Expires") == ["3;refresher=uas"]

    # Too short for the farm.
    refused = bob.ask(
        *("n1", "INVITE", alice.aor, ["Supported: timer", "Session-Expires: 1"]),
        call_id="too-short",
    )
    assert (refused.code, refused.get("Min-SE")) == (422, "2")


def test_a_refused_call_is_an_attempt(farm: Lab, alice: RawPhone, bob: RawPhone) -> None:
    call = Call(bob, alice, "refused")
    answer = call.answer(486, "Busy Here")
    assert answer.code == 486
    bob.send("n2", ack_of(call.invite, answer))
    (record,) = records(farm, "n3", "refused")
    assert (record.state, record.code, record.cause) == ("failed", 486, "refused")
