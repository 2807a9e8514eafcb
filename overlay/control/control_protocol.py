"""What every request on the control socket and every answer has, and the answers to anything.

In and out: one msgpack array a frame, behind a 4-byte big-endian length, on a Unix socket. A
request carries `id`, which its answer repeats; answers may come in another order than requests.
Counterparts: `proxy_messages.py` and `operator_messages.py` declare the kinds; `control_codec.py`
reads and writes them; `client.py` asks, `server.py` answers.

Adding a field at the end of a message is compatible both ways; changing or removing one is not.
"""

import msgspec


class ControlRequest(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Base of all requests; `deadline_ms` is how long the asker will wait, 0 for the default."""

    id: int = 0
    deadline_ms: int = 0


class ControlAnswer(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Base of all answers."""

    id: int


class Refused(ControlAnswer, frozen=True, kw_only=True, tag=0):
    """The request could not be done; `code` is for programs, `reason` for people."""

    code: str
    """`bad-request`, `too-large`, `busy`, `unavailable`, `storage`, `not-found`, `forged` (without
    the operator's signature), `outdated` (a later version is in force), `internal`."""
    reason: str


class Done(ControlAnswer, frozen=True, kw_only=True, tag=26):
    """It is done; `detail` is for people."""

    detail: str = ""
