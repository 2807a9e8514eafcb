"""Decides which events of a proxy the daemon accepts, and in which form.

In: an event as a proxy's message has it. Out: the event as it is kept, or a refusal. Pure.
Counterpart: `overlay.control.proxy_service`.

The fields that tell one call from another must be whole, or the event is refused. Fields that only
describe the call are cut if they are too long. An overlong header must neither prevent a call nor
cost anybody the money for it.
"""

from operator import attrgetter
from typing import Final

import msgspec

from overlay.base.limits import HEADER_CHARS_MAX
from overlay.records.call import CallEvent, EventKind
from overlay.records.refusal import Refusal

CLOCK_ERROR_US_MAX: Final = 86_400 * 1_000_000
"""The greatest difference between an event's time and the daemon's. Proxy and daemon have the same
clock, and even a leap of it is less than a day."""
_KINDS: Final = frozenset({EventKind.START, EventKind.INTERIM, EventKind.STOP, EventKind.ATTEMPT})
"""The kinds of event that a proxy sees. The daemons make the other kinds themselves."""
_IDENTITY: Final = ("call_id", "from_tag", "to_tag")
_DESCRIPTION: Final = tuple(
    field.name
    for field in msgspec.structs.fields(CallEvent)
    if field.type is str and field.name not in _IDENTITY
)
"""All other text fields of an event. A field that is added to `CallEvent` is bounded, too."""
_texts: Final = attrgetter(*_IDENTITY, *_DESCRIPTION)


def taken(event: CallEvent, now_us: int) -> CallEvent | Refusal:
    """The event to keep, with its descriptions cut where needed, or why it is refused."""
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
