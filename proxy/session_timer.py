"""Session timers (RFC 4028): what a proxy may ask of a call, so that one whose phone vanished ends.

In: the header fields of a request or of its 2xx. Out: what to insert, or that the request is
refused. Pure. Counterpart: `routes/session.py`.
"""

import re
from typing import Final

import msgspec

SESSION_S_MAX: Final = 2**31 - 1
_SECONDS: Final = re.compile(r"\s*([0-9]{1,10})\s*(?:;.*)?", re.DOTALL)


class RequestTimer(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the timer in a request."""

    session_s: int = 0
    """What the request asks for when it leaves; 0: nothing."""
    insert: bool = False
    """Session-Expires has to be inserted, as there is none."""
    too_small: bool = False
    """422 (RFC 4028 6): the sender understands timers and asked for less than is allowed."""
    supported: bool = False
    """The sender understands timers."""


def seconds(text: str | None) -> int | None:
    """The interval in a Session-Expires or Min-SE; None for what is not there or not one."""
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
    """What to do about a session refresh request (RFC 4028 8.1).

    `wanted_s` and `smallest_s` are the farm's. A sender that does not understand timers is never
    refused for them, and its too small interval is none of ours to raise.
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
    """Fields to insert into the 2xx of a call that was offered `offered_s` (0: whose caller does
    not understand timers), so that the caller refreshes it (RFC 4028 8.2)."""
    if session_expires is not None or not offered_s:
        return ()
    return (f"Session-Expires: {offered_s};refresher=uac\r\n", "Require: timer\r\n")


def lists(values: str | None, token: str) -> bool:
    """Whether a comma-separated list has this token."""
    if not values:
        return False
    return token in (each.strip().lower() for each in values.split(","))
