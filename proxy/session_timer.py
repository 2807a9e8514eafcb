"""Session timers (RFC 4028): what the proxy asks for, so that a call ends whose phone has vanished.

In: the header fields of a request, or of its 2xx. Out: the fields to insert, or that the request is
to be refused. Pure functions. Counterpart: `routes/session.py`.
"""

import re
from typing import Final

import msgspec

SESSION_S_MAX: Final = 2**31 - 1
_SECONDS: Final = re.compile(r"\s*([0-9]{1,10})\s*(?:;.*)?", re.DOTALL)


class RequestTimer(msgspec.Struct, frozen=True, kw_only=True):
    """What the proxy does about the timer in a request."""

    session_s: int = 0
    """The interval that the request asks for when it leaves; 0 for none."""
    insert: bool = False
    """Whether Session-Expires has to be inserted, as there is none."""
    too_small: bool = False
    """Whether to refuse with 422 (RFC 4028 6): the sender understands timers, and asked for less
    than is allowed."""
    supported: bool = False
    """Whether the sender understands timers."""


def seconds(text: str | None) -> int | None:
    """The interval in a Session-Expires or Min-SE; None if there is none, or it is malformed."""
    found = _SECONDS.fullmatch(text) if text else None
    if found is None or int(found[1]) > SESSION_S_MAX:
        return None
    return int(found[1])


def request_timer(
    session_expires: str | None,
    min_se: str | None,
    supported: str | None,
    wanted_s: int,
    smallest_s: int,
) -> RequestTimer:
    """What to do about the timer in a session refresh request (RFC 4028 8.1).

    `wanted_s` and `smallest_s` are the farm's. A sender that does not understand timers is never
    refused for its interval, and the proxy does not raise one that is too small.
    """
    understands = lists(supported, "timer")
    asked_s, least_s = seconds(session_expires), seconds(min_se)
    if asked_s is None:
        session_s = max(wanted_s, smallest_s, least_s or 0)
        return RequestTimer(session_s=session_s, insert=True, supported=understands)
    if asked_s < smallest_s and understands:
        return RequestTimer(session_s=asked_s, too_small=True, supported=True)
    return RequestTimer(session_s=asked_s, supported=understands)


def answer_fields(session_expires: str | None, offered_s: int) -> tuple[str, ...]:
    """Fields to insert into the 2xx, so that the caller refreshes the call (RFC 4028 8.2).
    `offered_s` is the interval that the INVITE asked for; 0 if the caller does not understand
    timers."""
    if session_expires is not None or not offered_s:
        return ()
    return (f"Session-Expires: {offered_s};refresher=uac\r\n", "Require: timer\r\n")


def lists(values: str | None, token: str) -> bool:
    """Whether a comma-separated list contains this token."""
    if not values:
        return False
    return token in (each.strip().lower() for each in values.split(","))
