"""The messages about a REGISTER between nodes of two versions stay as they were."""

import msgspec
import pytest

from overlay.control import control_protocol, operator_messages, proxy_messages
from overlay.links import register_bodies
from overlay.records.refusal import Refusal
from overlay.records.register import (
    Contact,
    ContactChange,
    RegisterOutcome,
    RegisterRequest,
    RegisterResult,
)

REQUEST = RegisterRequest(
    aor="alice@farm.test",
    call_id="c",
    cseq=7,
    contacts=(ContactChange(uri="sip:alice@192.0.2.1", expires_s=60, instance="i", reg_id=1),),
    path=("<sip:edge;lr>",),
    user_agent="phone",
    contacts_max=3,
)
RESULT = RegisterResult(
    outcome=RegisterOutcome.DONE,
    bindings=(Contact(uri="sip:alice@192.0.2.1", expires_s=60),),
    weak=True,
)


def test_a_request_comes_back_as_it_went() -> None:
    body = register_bodies.encode_request(REQUEST, 250)
    assert register_bodies.decode_request(body) == (REQUEST, 250)


@pytest.mark.parametrize("result", [RESULT, Refusal(code="too-large", reason="many")])
def test_a_result_comes_back_as_it_went(result: RegisterResult | Refusal) -> None:
    assert register_bodies.decode_result(register_bodies.encode_result(result)) == result


def test_a_request_has_the_bytes_that_release_0_1_0_sends() -> None:
    contact = ["sip:alice@192.0.2.1", 60, 1000, "", "", "i", 1]
    said = [3, 0, 250, "alice@farm.test", "c", 7, [contact], False, ["<sip:edge;lr>"], "phone", 3]
    assert msgspec.msgpack.decode(register_bodies.encode_request(REQUEST, 250)) == said


def test_a_result_has_the_bytes_that_release_0_1_0_sends() -> None:
    bound = ["sip:alice@192.0.2.1", 60, 1000, "", 0]
    said = [3, 0, RegisterOutcome.DONE, [bound], False, True]
    assert msgspec.msgpack.decode(register_bodies.encode_result(RESULT)) == said
    refused = register_bodies.encode_result(Refusal(code="busy", reason="why"))
    assert msgspec.msgpack.decode(refused) == [0, 0, "busy", "why"]


@pytest.mark.parametrize(
    "message", [operator_messages.GetStatus(), proxy_messages.Locate(aor="a@b")]
)
def test_another_question_is_no_register(message: control_protocol.ControlRequest) -> None:
    with pytest.raises(msgspec.ValidationError):
        register_bodies.decode_request(msgspec.msgpack.encode(message))
