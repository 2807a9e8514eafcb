"""A followed call is reported again when it changes, and calls of others never are."""

from overlay.billing.following import Following
from overlay.records.call import CallEvent
from tests.proxy_requests import start_event, stop_event

Copies = list[tuple[CallEvent, tuple[str, ...]]]


def copies(*events: CallEvent) -> Copies:
    return [(event, ("n1", "n2")) for event in events]


def told(following: Following, events: Copies) -> list[tuple[str, str]]:
    return [(record.call_id, record.state) for record in following.news(events)]


def test_a_record_is_told_again_when_it_changes() -> None:
    start, stop = start_event("one").event, stop_event("one").event
    following = Following()
    assert told(following, copies(start)) == [("one", "open")]
    assert told(following, copies(start)) == []
    assert told(following, copies(start, start, stop)) == [("one", "complete")]
    # The node that has the end is silent now: that is no news.
    assert told(following, copies(start)) == []
    assert told(following, copies(start, stop)) == []


def test_others_calls_are_not_told() -> None:
    event = start_event("one").event
    assert told(Following(subscriber="alice@farm.test"), copies(event)) == [("one", "open")]
    assert told(Following(subscriber="eve@farm.test"), copies(event)) == []
