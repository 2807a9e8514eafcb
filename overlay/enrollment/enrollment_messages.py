"""The messages between a node and the enrollment service: one question, one answer, over TLS.

In and out: a frame each way (`overlay.base.frames`), in msgpack. Counterparts:
`authority_client.py` and `service.py`. A field that is added at the end is compatible both ways.
"""

import sys
from typing import Any

import msgspec

from overlay.base import decoding


class EnrollmentQuestion(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The base of all questions of a node."""


class EnrollmentReply(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The base of all answers of the service."""


class Denied(EnrollmentReply, frozen=True, kw_only=True, tag=0):
    """The service did not do what the node asked for. `code` is for programs, `reason` for
    people."""

    code: str
    """`token` (unknown, used or expired), `refused`, `busy` or `internal`."""
    reason: str


class AskAuthority(EnrollmentQuestion, frozen=True, kw_only=True, tag=1):
    """Asks whose CA this is. Answered by `Authority`, on a connection that proves nothing yet."""


class Authority(EnrollmentReply, frozen=True, kw_only=True, tag=1):
    """The CA's certificate. The node compares it with the token's fingerprint."""

    certificate_pem: bytes


class Enroll(EnrollmentQuestion, frozen=True, kw_only=True, tag=2):
    """A node's request for its certificate, with a token. Answered by `Enrolled`."""

    token_id: bytes
    secret: bytes
    csr_pem: bytes


class Enrolled(EnrollmentReply, frozen=True, kw_only=True, tag=2):
    """All that a node needs besides its key."""

    certificate_pem: bytes
    operator_pem: bytes
    farm_secret: str
    bootstrap: tuple[str, ...]
    """`address:port` of nodes, the newest first."""
    settings: dict[str, dict[str, Any]]
    """Sections of farm.toml that are the same on every node."""
    revocations: bytes = b""
    """The revocation list in force; empty if there is none."""


class Renew(EnrollmentQuestion, frozen=True, kw_only=True, tag=3):
    """A node's request for a new certificate, over mutual TLS with its present one. Answered by
    `Renewed`."""

    csr_pem: bytes
    """A signing request for the same key. The new certificate has the names of the present one,
    whatever this says."""


class Renewed(EnrollmentReply, frozen=True, kw_only=True, tag=3):
    """The new certificate."""

    certificate_pem: bytes


encode = msgspec.msgpack.Encoder().encode
_here = sys.modules[__name__]
decode_question = decoding.any_of(decoding.kinds_in(EnrollmentQuestion, _here))
decode_reply = decoding.any_of(decoding.kinds_in(EnrollmentReply, _here))
