"""Several phones of one subscriber ring together, or one after the other by q (RFC 3261 16.6,
16.7).
"""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from deploy.lab import Lab
from tests.farm.raw_phone import RawPhone
from tests.sip.message import ack_of, cancel_of

NODES = ("n1", "n2", "n3")


@pytest.fixture
def phones(lab: Lab) -> Iterator[list[RawPhone]]:
    """Alice's phones, at a node each: two that are to ring first, and one for when they fail."""
    with ExitStack() as stack:
        found = [stack.enter_context(RawPhone(lab, f"p{n}", "alice")) for n in (1, 2, 3)]
        for phone, node, q in zip(found, NODES, ("1.0", "1.0", "0.3"), strict=True):
            assert phone.register(node, f";q={q};expires=300").code == 200
        yield found
        for phone, node in zip(found, NODES, strict=True):
            assert phone.register(node, ";expires=0").code == 200


@pytest.fixture
def carol(lab: Lab) -> Iterator[RawPhone]:
    with RawPhone(lab, "p4", "carol") as phone:
        yield phone


def invite(carol: RawPhone, phones: list[RawPhone], node: str) -> str:
    """A stranger calls alice; the INVITE's text."""
    call_id = f"fork-{uuid.uuid4().hex}"
    text = carol.request_text(
        *("INVITE", phones[0].aor), from_uri="sip:carol@example.org", call_id=call_id, cseq=1
    )
    carol.send(node, text)
    return text


def refuse(phone: RawPhone, code: int, reason: str) -> None:
    request = phone.await_request("INVITE", 10)
    phone.reply(request, 180, "Ringing")
    phone.reply(request, code, reason)


@pytest.mark.parametrize("node", NODES)
def test_the_last_phone_rings_when_the_first_ones_are_busy(
    phones: list[RawPhone], carol: RawPhone, node: str
) -> None:
    first, second, last = phones
    text = invite(carol, phones, node)
    refuse(first, 486, "Busy Here")
    assert last.is_left_alone("INVITE", 0.3), "the second one has not answered yet"
    refuse(second, 480, "Temporarily Unavailable")
    request = last.await_request("INVITE", 10)
    assert request.get("Max-Breadth") == "60"
    last.reply(request, 603, "Decline")
    answer = carol.await_answer()
    assert answer.code == 603
    carol.send(node, ack_of(text, answer))


def test_the_answer_of_one_ends_the_ringing_of_the_other(
    phones: list[RawPhone], carol: RawPhone
) -> None:
    first, second, last = phones
    invite(carol, phones, "n2")
    ringing = second.await_request("INVITE", 10)
    second.reply(ringing, 180, "Ringing")
    request = first.await_request("INVITE", 10)
    first.reply(request, 200, "OK", [f"Contact: <{first.contact}>"])
    assert carol.await_answer().code == 200
    second.reply(second.await_request("CANCEL", 10), 200, "OK")
    second.reply(ringing, 487, "Request Terminated")
    assert last.is_left_alone("INVITE", 0.5)


def test_nobody_rings_after_a_decline_for_all(phones: list[RawPhone], carol: RawPhone) -> None:
    first, second, last = phones
    text = invite(carol, phones, "n3")
    ringing = second.await_request("INVITE", 10)
    second.reply(ringing, 180, "Ringing")
    refuse(first, 603, "Decline")
    second.reply(second.await_request("CANCEL", 10), 200, "OK")
    second.reply(ringing, 487, "Request Terminated")
    answer = carol.await_answer()
    assert answer.code == 603
    carol.send("n3", ack_of(text, answer))
    assert last.is_left_alone("INVITE", 0.5)


def test_nobody_rings_after_the_caller_gave_up(phones: list[RawPhone], carol: RawPhone) -> None:
    first, second, last = phones
    text = invite(carol, phones, "n1")
    ringing = [phone.await_request("INVITE", 10) for phone in (first, second)]
    for phone, request in zip((first, second), ringing, strict=True):
        phone.reply(request, 180, "Ringing")
    carol.await_answer(180)
    carol.send("n1", cancel_of(text))
    for phone, request in zip((first, second), ringing, strict=True):
        phone.reply(phone.await_request("CANCEL", 10), 200, "OK")
        phone.reply(request, 487, "Request Terminated")
    while (answer := carol.await_answer()).code != 487:
        assert answer.code == 200, "of the CANCEL"
    carol.send("n1", ack_of(text, answer))
    assert last.is_left_alone("INVITE", 0.5)
