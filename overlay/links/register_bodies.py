"""Encodes a REGISTER, and its result, for the way from one node to another.

In: requests and results of `overlay.records.register`. Out: the bodies of `RegisterAt` and
`RegisteredAt`. Counterpart: `overlay.replication.registrations` on the other node. That node may
have another version, so fields are only added, and only at the end.
"""

import msgspec

from overlay.base import decoding
from overlay.records.refusal import Refusal
from overlay.records.register import (
    Contact,
    ContactChange,
    RegisterOutcome,
    RegisterRequest,
    RegisterResult,
)


class _Asked(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag=3):
    unused: int = 0
    deadline_ms: int = 0
    aor: str
    call_id: str
    cseq: int
    contacts: tuple[ContactChange, ...] = ()
    remove_all: bool = False
    path: tuple[str, ...] = ()
    user_agent: str = ""
    contacts_max: int = 0


class _DoneBody(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag=3):
    unused: int = 0
    outcome: RegisterOutcome
    bindings: tuple[Contact, ...] = ()
    move: bool = False
    weak: bool = False


class _RefusedBody(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag=0):
    unused: int = 0
    code: str
    reason: str


_encode = msgspec.msgpack.Encoder().encode
_decode_asked = decoding.msgpack(_Asked)
_decode_told = decoding.msgpack(_DoneBody | _RefusedBody)


def encode_request(request: RegisterRequest, deadline_ms: int) -> bytes:
    """The body of `RegisterAt`. The asker waits for `deadline_ms`."""
    return _encode(
        _Asked(
            deadline_ms=deadline_ms,
            aor=request.aor,
            call_id=request.call_id,
            cseq=request.cseq,
            contacts=request.contacts,
            remove_all=request.remove_all,
            path=request.path,
            user_agent=request.user_agent,
            contacts_max=request.contacts_max,
        )
    )


def decode_request(body: bytes) -> tuple[RegisterRequest, int]:
    """The request, and for how many ms its asker waits; raises `msgspec.MsgspecError`."""
    asked: _Asked = _decode_asked(body)
    request = RegisterRequest(
        aor=asked.aor,
        call_id=asked.call_id,
        cseq=asked.cseq,
        contacts=asked.contacts,
        remove_all=asked.remove_all,
        path=asked.path,
        user_agent=asked.user_agent,
        contacts_max=asked.contacts_max,
    )
    return request, asked.deadline_ms


def encode_result(result: RegisterResult | Refusal) -> bytes:
    """The body of `RegisteredAt`."""
    if isinstance(result, Refusal):
        return _encode(_RefusedBody(code=result.code, reason=result.reason))
    return _encode(
        _DoneBody(outcome=result.outcome, bindings=result.bindings, weak=result.weak),
    )


def decode_result(body: bytes) -> RegisterResult | Refusal:
    """The result that a peer sent; raises `msgspec.MsgspecError`."""
    told: _DoneBody | _RefusedBody = _decode_told(body)
    if isinstance(told, _RefusedBody):
        return Refusal(code=told.code, reason=told.reason)
    return RegisterResult(outcome=told.outcome, bindings=told.bindings, weak=told.weak)
