"""The fields of every request and answer on the control socket, and the answers that fit any
request.

In and out: one msgpack array in each frame, behind a 4-byte big-endian length, on a Unix socket. A
request carries `id`, which its answer repeats. Answers may come in another order than their
requests. Counterparts: `proxy_messages.py` and `operator_messages.py` declare the kinds;
`control_codec.py` encodes and decodes them; `client.py` asks; `server.py` answers.

A field added at the end of a message is compatible in both directions. A field changed or removed
is not.
"""

import msgspec


class ControlRequest(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Base of all requests. `deadline_ms` is how long the asker waits; 0 means the default."""

    id: int = 0
    deadline_ms: int = 0


class ControlAnswer(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Base of all answers."""

    id: int


class Refused(ControlAnswer, frozen=True, kw_only=True, tag=0):
    """The request could not be done. `code` is for programs, `reason` for people."""

    code: str
    """`bad-request`, `too-large`, `busy`, `unavailable`, `storage`, `not-found`, `forged` (without
    the operator's signature), `outdated` (a later version is in force), `internal`."""
    reason: str


class Done(ControlAnswer, frozen=True, kw_only=True, tag=26):
    """The request is done. `detail` is for people."""

    detail: str = ""
