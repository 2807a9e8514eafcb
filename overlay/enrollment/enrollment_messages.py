"""What a node and the enrollment service say to each other: one question, one answer, over TLS.

In and out: a frame each way (`overlay.base.frames`), msgpack. Counterparts: `asking.py` and
`service.py`. A field added at the end is compatible both ways.
"""

from typing import Any

import msgspec

from overlay.base import decoding


class _Message(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    pass


class Denied(_Message, frozen=True, kw_only=True, tag=0):
    """It was not done; `code` is for programs, `reason` for people."""

    code: str
    """`token` (unknown, used or expired), `refused`, `busy`, `internal`."""
    reason: str


class AskAuthority(_Message, frozen=True, kw_only=True, tag=1):
    """Whose CA are you? Answered by `Authority`, on a connection that proves nothing yet."""


class Authority(_Message, frozen=True, kw_only=True, tag=1):
    """The CA's certificate; who asked compares it with the token's fingerprint."""

    certificate_pem: bytes


class Enroll(_Message, frozen=True, kw_only=True, tag=2):
    """A node's request for its certificate, with a token. Answered by `Enrolled`."""

    token_id: bytes
    secret: bytes
    csr_pem: bytes


class Enrolled(_Message, frozen=True, kw_only=True, tag=2):
    """All that a node needs besides its key."""

    certificate_pem: bytes
    operator_pem: bytes
    farm_secret: str
    bootstrap: tuple[str, ...]
    """`address:port` of nodes, the newest first."""
    settings: dict[str, dict[str, Any]]
    """Sections of farm.toml that are the same on every node."""
    revocations: bytes = b""
    """The list in force; empty if there is none."""


class Renew(_Message, frozen=True, kw_only=True, tag=3):
    """A node's request for a new certificate, over mutual TLS with the one that it has. Answered by
    `Renewed`."""

    csr_pem: bytes
    """For the same key; the names are those of the certificate that it has."""


class Renewed(_Message, frozen=True, kw_only=True, tag=3):
    """The new certificate."""

    certificate_pem: bytes


EnrollmentQuestion = AskAuthority | Enroll | Renew
EnrollmentReply = Denied | Authority | Enrolled | Renewed

encode = msgspec.msgpack.Encoder().encode
decode_question = decoding.msgpack(EnrollmentQuestion)
decode_reply = decoding.msgpack(EnrollmentReply)
