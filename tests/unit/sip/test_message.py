"""The messages of the tests' own user agent, as it reads and writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sip.dialog import Dialog
from tests.sip.framing import MessageBuffer
from tests.sip.message import (
    Message,
    ack_of,
    answered,
    cancel_of,
    encoded,
    new_branch,
    parsed,
    request,
    response,
    uri_of,
    via,
)

HERE = ("192.0.2.1", 5060)
VIA = via("udp", "192.0.2.1:5060", new_branch())
ROUTES = ["<sip:one.test;lr>", "<sip:two.test;lr>"]


def invite(*fields: str, body: str = "") -> str:
    return request(
        "INVITE",
        "sip:bob@farm.test",
        via=VIA,
        sender="<sip:alice@farm.test>;tag=a",
        receiver="<sip:bob@farm.test>",
        call_id="call",
        cseq=7,
        fields=["Contact: <sip:alice@192.0.2.1>", *fields],
        body=body,
    )


def test_what_is_written_is_read() -> None:
    message = parsed(encoded(invite("Subject: x", body="v=0\r\nSubject: y\r\n")), HERE)
    assert (message.method, message.code, message.uri) == ("INVITE", 0, "sip:bob@farm.test")
    assert (message.cseq, message.source) == (7, HERE)
    assert message.branch in VIA
    assert message.all("Subject") == ["x"], "the body is no header"
    assert message.get("Content-Length") == str(len(message.body))
    assert dict(message.fields)["Max-Forwards"] == "70"


def test_a_max_forwards_of_its_own_is_the_only_one() -> None:
    assert Message(invite("Max-Forwards: 0")).all("max-forwards") == ["0"]


@pytest.mark.parametrize(
    "line",
    [
        "Call-ID: x",
        "call-id:x",
        "i: x",
        "I :x",
        "Call-ID:\r\n  x",
        "Call-ID \t: x\r\n ",
        "Call-ID: \r\n\tx",
    ],
)
def test_a_field_is_found_however_it_is_spelled(line: str) -> None:
    message = Message(f"OPTIONS sip:x SIP/2.0\r\n{line}\r\nX-i: y\r\n\r\n")
    assert message.get("Call-ID") == "x"
    assert message.get("Call") == message.get("X") == ""


def test_an_answer_has_what_the_request_had() -> None:
    text = (
        "INVITE sip:x SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP b\r\n"
        "Record-Route: <sip:r;lr>\r\nTag: no\r\nf: <sip:a>;tag=1\r\nTo:\r\n <sip:b>\r\n"
        "CALL-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:a>\r\n\r\n"
    )
    answer = Message(response(Message(text), 486, "Busy Here", ["Reason: x"], tag="t"))
    assert answer.first_line == "SIP/2.0 486 Busy Here"
    assert answer.all("Via") == ["SIP/2.0/UDP a;branch=z9hG4bK1", "SIP/2.0/UDP b"]
    assert answer.get("To") == "<sip:b>;tag=t"
    assert answer.get("From") == "<sip:a>;tag=1"
    names = [name for name, _ in answer.fields]
    assert names == [
        *("v", "Via", "Record-Route", "f", "To", "CALL-ID", "CSeq", "Reason", "Content-Length"),
    ]
    assert Message(response(answer, 200, "OK")).get("To") == "<sip:b>;tag=t", "it has one already"


def test_bytes_that_are_no_text_come_back_as_they_were() -> None:
    asked = invite().encode().replace(b"<sip:alice@farm.test>", b'"\xff\xfe" <sip:a>')
    assert b'From: "\xff\xfe" <sip:a>;tag=a\r\n' in answered(asked, 200, "OK")


def test_what_ends_an_invite_is_of_its_transaction() -> None:
    text = invite("Route: <sip:one.test;lr>")
    refusal = Message(response(Message(text), 404, "Not Found", tag="t"))
    for ending, method, to in (
        (ack_of(text, refusal), "ACK", "<sip:bob@farm.test>;tag=t"),
        (cancel_of(text), "CANCEL", "<sip:bob@farm.test>"),
    ):
        message = Message(ending)
        assert (message.method, message.uri) == (method, "sip:bob@farm.test")
        assert message.all("Via") == [VIA]
        assert (message.get("To"), message.get("CSeq")) == (to, f"7 {method}")
        assert message.get("Route") == "<sip:one.test;lr>"


def test_both_ends_of_a_dialog_say_what_the_other_knows() -> None:
    asked = Message(invite(f"Record-Route: {ROUTES[0]}", f"Record-Route: {ROUTES[1]}"))
    answer = Message(response(asked, 200, "OK", ["Contact: <sip:bob@192.0.2.2>"]))
    caller, callee = Dialog.of_caller(answer), Dialog.of_callee(asked)
    assert (caller.own, caller.other) == (callee.other, callee.own)
    assert caller.routes == callee.routes[::-1] == ROUTES[::-1]
    assert (caller.target, callee.target) == ("sip:bob@192.0.2.2", "sip:alice@192.0.2.1")
    ack, bye = Message(caller.request("ACK", VIA)), Message(caller.request("BYE", VIA))
    assert (ack.get("CSeq"), bye.get("CSeq")) == ("7 ACK", "8 BYE")
    assert bye.listed("Route") == ROUTES[::-1]
    assert uri_of(bye.get("To")) == "sip:bob@farm.test"


@given(cuts=st.lists(st.integers(0, 2_000), max_size=8))
def test_messages_of_a_stream_end_where_they_say(cuts: list[int]) -> None:
    short = invite().replace("Content-Length: 0", "l: 0")
    sent = [invite(body="v=0\r\n\r\n"), short, invite(body="end")]
    stream = b"\r\n\r\n".join(map(encoded, sent))
    buffer, seen = MessageBuffer(HERE), []
    edges = sorted({min(cut, len(stream)) for cut in cuts})
    for start, end in zip([0, *edges], [*edges, len(stream)], strict=True):
        buffer.feed(stream[start:end])
        while (message := buffer.next()) is not None:
            seen.append(message)
    assert [message.body for message in seen] == ["v=0\r\n\r\n", "", "end"]
    assert {message.source for message in seen} == {HERE}
