"""The two ways in which the daemon answers a request on the control socket.

In: a request, and how long its asker waits, in s. Out: an answer. Counterparts: `proxy_service.py`
and `operator_service.py` each have two tables, one for each way, from the kind of request to the
method that answers it; `service.py` joins the tables.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from overlay.control.control_protocol import ControlAnswer, ControlRequest, Refused
from overlay.records.refusal import Refusal

Respond = Callable[[ControlAnswer], None]
"""Takes the answer to one request; to be called once."""

AnswerNow = Callable[[Any, float, Respond], bool]
"""Answers without a task: at once, or later by a callback. If it returns False, then it cannot
answer and has not called `Respond`, and an `AnswerLater` has to answer the request."""
AnswerLater = Callable[[Any, float], Awaitable[ControlAnswer]]
"""Answers after waiting; raises a `SipfarmError` that says why there is no answer."""

NowByKind = Mapping[type[ControlRequest], AnswerNow]
LaterByKind = Mapping[type[ControlRequest], AnswerLater]


def refused(refusal: Refusal) -> Refused:
    """The refusal as an answer."""
    return Refused(id=0, code=refusal.code, reason=refusal.reason)
