"""Which events of a proxy the daemon takes."""

import msgspec
import pytest

from overlay.base.limits import HEADER_CHARS_MAX
from overlay.billing.admission import CLOCK_ERROR_US_MAX, taken
from overlay.records.call import CallEvent, EventKind
from overlay.records.refusal import Refusal
from tests.proxy_requests import start_event

EVENT = start_event("one").event
NAMES = {"call_id", "from_tag", "to_tag"}
LONG = "x" * (HEADER_CHARS_MAX + 1)


def test_what_a_proxy_sees_is_taken_as_it_is() -> None:
    assert taken(EVENT, EVENT.time_us) is EVENT
    assert taken(EVENT, EVENT.time_us + CLOCK_ERROR_US_MAX) is EVENT


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kind": EventKind.CHAINED}, "bad-request"),
        ({"kind": EventKind.EXPORTED}, "bad-request"),
        ({"kind": EventKind.CLOSED}, "bad-request"),
        ({"proof": b"x"}, "bad-request"),
        ({"event_id": b"short"}, "bad-request"),
        ({"call_id": ""}, "bad-request"),
        ({"time_us": 0}, "bad-request"),
        ({"time_us": -1}, "bad-request"),
        ({"time_us": EVENT.time_us + CLOCK_ERROR_US_MAX + 1}, "bad-request"),
        ({"time_us": EVENT.time_us - CLOCK_ERROR_US_MAX - 1}, "bad-request"),
        ({"time_us": 2**62}, "bad-request"),
        ({"code": 1_000}, "bad-request"),
        ({"session_s": -1}, "bad-request"),
        ({"call_id": LONG}, "too-large"),
        ({"from_tag": LONG}, "too-large"),
        ({"to_tag": LONG}, "too-large"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object], code: str) -> None:
    refused = taken(msgspec.structs.replace(EVENT, **change), EVENT.time_us)
    assert isinstance(refused, Refusal)
    assert refused.code == code


def test_every_text_of_an_event_has_a_bound() -> None:
    texts = {f.name for f in msgspec.structs.fields(CallEvent) if f.type is str}
    long = msgspec.structs.replace(EVENT, **dict.fromkeys(texts - NAMES, LONG))
    kept = taken(long, EVENT.time_us)
    assert kept == msgspec.structs.replace(EVENT, **dict.fromkeys(texts - NAMES, LONG[:-1]))


def test_a_long_header_costs_nobody_his_call() -> None:
    kept = taken(msgspec.structs.replace(EVENT, user_agent=LONG, reason=LONG), EVENT.time_us)
    assert kept == msgspec.structs.replace(EVENT, user_agent=LONG[:-1], reason=LONG[:-1])
