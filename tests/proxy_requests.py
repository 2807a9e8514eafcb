"""The requests of a proxy to its daemon: a REGISTER, the START and the STOP of a call."""

import time

from overlay.control import proxy_messages
from overlay.records import call
from overlay.records.call import CallEvent, EventKind
from overlay.records.register import ContactChange

FARM = "farm.test"


def register(aor: str, contact: str, cseq: int = 1, expires_s: int = 60) -> proxy_messages.Register:
    """A REGISTER of one contact."""
    change = ContactChange(uri=contact, expires_s=expires_s)
    return proxy_messages.Register(aor=aor, call_id=f"reg-{aor}", cseq=cseq, contacts=(change,))


def start_event(call_id: str) -> proxy_messages.WriteEvent:
    """The START of a call from bob to alice."""
    return _event(EventKind.START, call_id, "bob", "alice", code=200)


def stop_event(call_id: str) -> proxy_messages.WriteEvent:
    """Its STOP: alice hung up."""
    return _event(EventKind.STOP, call_id, "alice", "bob")


def _event(
    kind: EventKind, call_id: str, one: str, two: str, code: int = 0
) -> proxy_messages.WriteEvent:
    event = CallEvent(
        kind=kind,
        event_id=call.event_id(kind, call_id, one, two),
        call_id=call_id,
        from_tag=one,
        to_tag=two,
        time_us=time.time_ns() // 1000,
        code=code,
        from_uri=f"sip:{one}@{FARM}",
        to_uri=f"sip:{two}@{FARM}",
    )
    return proxy_messages.WriteEvent(event=event)
