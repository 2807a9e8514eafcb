"""What is wrong with a message before anything in it is read."""

import pytest

from overlay.base.limits import SIP_FIELD_CHARS_MAX, SIP_REQUEST_BYTES_MAX
from proxy import counters
from proxy.routes import admission, reply, request
from proxy.worker import Worker
from tests.unit.proxy.fake_ksr import FakeKsr, Message

HEAD = (
    "INVITE sip:bob@farm.test SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>;tag=f\r\n"
    "To: <sip:bob@farm.test>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:a@h>"
)
CONTROLS = [*(chr(each) for each in range(0x20) if chr(each) not in "\t\n\r"), "\x7f"]


@pytest.mark.parametrize("place", ["sip:bob", "SIP/2.0/", "tag=f", "Call-ID: c", "CSeq: 1", "@h>"])
def test_a_control_character_before_the_body(place: str) -> None:
    for control in [*CONTROLS, "\r"]:
        assert not admission.is_clean(HEAD.replace(place, place + control) + "\r\n\r\n")


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "\r\n\r\n\x00\x01\r\x7f",
        HEAD.replace("\r\n", "\n") + "\n\n\x00",
        "\r\n\r\n" + HEAD + "\r\n\r\n\x00",
        HEAD + "\r\nSubject: a\r\n\tfolded, \xe9\u200d\r\n\r\n",
    ],
    ids=["in the body", "line feeds alone", "empty lines before it", "folded, and no ASCII"],
)
def test_what_is_no_control_character_before_the_body(text: str) -> None:
    assert admission.is_clean(text)


def test_empty_lines_before_a_message_hide_nothing() -> None:
    assert not admission.is_clean("\r\n\r\n" + HEAD + "\x00\r\n\r\n")


def test_a_request_with_a_control_character_is_refused(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.call_id = "call\x07"
    request.route(worker)
    assert kamailio.done == [400]
    assert kamailio.counts == {counters.MALFORMED: 1}


def test_an_answer_with_a_control_character_starts_no_call(
    worker: Worker, kamailio: FakeKsr
) -> None:
    kamailio.message = Message(status=200, to_tag="callee\x00")
    reply.route(worker)
    assert kamailio.dropped
    assert kamailio.counts == {counters.MALFORMED: 1}


def test_who_floods_with_such_requests_gets_no_answer(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.call_id, kamailio.flooded = "call\x07", True
    request.route(worker)
    assert kamailio.done == []
    assert kamailio.counts == {counters.MALFORMED: 1, counters.FLOODS: 1}


def test_a_body_that_is_no_text_is_nobodys_business(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.raw = HEAD.encode() + b"\r\n\r\n\xff\x00"
    assert admission.pass_request(worker)
    kamailio.message.raw = HEAD.encode() + b"\x00\r\n\r\n\xff"
    assert not admission.pass_request(worker)


@pytest.mark.parametrize(
    "field",
    [
        "Authorization: Digest " + "a" * SIP_FIELD_CHARS_MAX,
        "Subject: " + "a\r\n " * (SIP_FIELD_CHARS_MAX // 2),
    ],
    ids=["one line", "folded"],
)
def test_a_field_that_is_too_long(worker: Worker, kamailio: FakeKsr, field: str) -> None:
    kamailio.message.raw = f"{HEAD}\r\n{field}\r\n\r\n".encode()
    request.route(worker)
    assert kamailio.done == [400]
    assert kamailio.counts == {counters.OVERSIZED: 1}


def test_many_fields_may_be_longer_together(worker: Worker, kamailio: FakeKsr) -> None:
    fields = "\r\n".join(["Subject: " + "a" * 4_000] * 3)
    kamailio.message.raw = f"{HEAD}\r\n{fields}\r\n\r\n".encode()
    assert admission.pass_request(worker)


@pytest.mark.parametrize(("body_length", "code"), [(15_000, 413), (0, 400)])
def test_a_request_that_is_too_large(
    worker: Worker, kamailio: FakeKsr, body_length: int, code: int
) -> None:
    kamailio.message.length = SIP_REQUEST_BYTES_MAX + 1
    kamailio.message.body_length = body_length
    request.route(worker)
    assert kamailio.done == [code]
    assert kamailio.counts == {counters.OVERSIZED: 1}
