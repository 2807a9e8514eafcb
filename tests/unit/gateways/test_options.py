"""The question to a gateway, and which messages count as an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.gateways import options
from overlay.gateways.health import MISSES_MAX, Health
from overlay.records.settings import Gateway

GATEWAY = Gateway(host="192.0.2.1", port=5080, transport="tcp")


def test_the_question_is_a_whole_request() -> None:
    text = options.request(GATEWAY, "farm.test", "192.0.2.9:4000", "abc").decode()
    first, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
    assert first == "OPTIONS sip:192.0.2.1:5080;transport=tcp SIP/2.0"
    assert "Via: SIP/2.0/TCP 192.0.2.9:4000;branch=z9hG4bKabc;rport" in lines
    names = {line.partition(":")[0] for line in lines}
    assert {"From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length"} <= names


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"SIP/2.0 200 OK\r\nVia: x;branch=z9hG4bKabc\r\n\r\n", (200, "OK")),
        (b"\r\nSIP/2.0 503 \xff\r\nVia: x;branch=z9hG4bKabc\r\n\r\n", (503, "�")),
        (b"SIP/2.0 100 Trying\r\nVia: x;branch=z9hG4bKabc\r\n\r\n", None),
        (b"SIP/2.0 200 OK\r\nVia: x;branch=z9hG4bKother\r\n\r\n", None),
        (b"OPTIONS sip:x SIP/2.0\r\nVia: x;branch=z9hG4bKabc\r\n\r\n", None),
    ],
)
def test_an_answer_is_final_and_to_this_question(
    data: bytes, expected: tuple[int, str] | None
) -> None:
    assert options.answer(data, "abc") == expected


@given(st.binary(max_size=200))
def test_nonsense_is_no_answer(data: bytes) -> None:
    assert options.answer(data, "abc") is None


@pytest.mark.parametrize(
    ("status", "well"), [(200, True), (404, True), (407, True), (503, False), (0, False)]
)
def test_who_answers_is_there(status: int, well: bool) -> None:
    assert options.is_well(status) is well


@given(st.lists(st.booleans()))
def test_down_after_misses_in_a_row_and_up_at_one_answer(answers: list[bool]) -> None:
    health = Health()
    for answered in answers:
        health = health.after(answered=answered)
    tail = answers[-MISSES_MAX:]
    assert health.down == (len(tail) == MISSES_MAX and not any(tail))
