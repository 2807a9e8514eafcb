"""Which events of a proxy are taken, and as what.

In: an event as a proxy's message has it. Out: the event as it is kept, or why it is not. Pure.
Counterpart: `overlay.control.proxy_service`.

What tells a call from others must be whole, or the event is refused; what only describes it is cut,
as no caller is to lose his call, or nobody his money, for a header that is too long.
"""

from operator import attrgetter
from typing import Final

import msgspec

from overlay.base.limits import HEADER_CHARS_MAX
from overlay.records.call import CallEvent, EventKind
from overlay.records.refusal import Refusal

CLOCK_ERROR_US_MAX: Final = 86_400 * 1_000_000
"""Proxy and daemon have the same clock; a leap of it is no day."""
_KINDS: Final = frozenset({EventKind.START, EventKind.INTERIM, EventKind.STOP, EventKind.ATTEMPT})
"""What a proxy sees. The others are the daemons' own."""
_IDENTITY: Final = ("call_id", "from_tag", "to_tag")
_DESCRIPTION: Final = tuple(
    field.name
    for field in msgspec.structs.fields(CallEvent)
    if field.type is str and field.name not in _IDENTITY
)
"""All other texts of an event: one that is added to it has its bound as well."""
_texts: Final = attrgetter(*_IDENTITY, *_DESCRIPTION)


def taken(event: CallEvent, now_us: int) -> CallEvent | Refusal:
    """The event to be kept."""
    if event.kind not in _KINDS or event.proof:
        return Refusal(code="bad-request", reason="not an event that a proxy sees")
    if len(event.event_id) != 20 or not event.call_id:
        return Refusal(code="bad-request", reason="an event without id or call")
    if event.time_us <= 0 or abs(event.time_us - now_us) > CLOCK_ERROR_US_MAX:
        return Refusal(code="bad-request", reason="an event without a time that can be")
    if not 0 <= event.code <= 999 or event.session_s < 0:
        return Refusal(code="bad-request", reason="a status code or an interval that cannot be")
    if max(map(len, _texts(event))) <= HEADER_CHARS_MAX:
        return event
    if any(len(getattr(event, name)) > HEADER_CHARS_MAX for name in _IDENTITY):
        return Refusal(code="too-large", reason="a Call-ID or a tag is too long")
    cut = {
        name: text[:HEADER_CHARS_MAX]
        for name in _DESCRIPTION
        if len(text := getattr(event, name)) > HEADER_CHARS_MAX
    }
    return msgspec.structs.replace(event, **cut)
