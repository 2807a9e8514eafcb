"""The two ways in which a request on the control socket is answered.

In: a request and how long its asker waits, in s. Out: an answer. Counterparts: `proxy_service.py`
and `operator_service.py` have a table of each from the kind of request to what answers it;
`service.py` joins them.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from overlay.control.control_protocol import ControlAnswer, ControlRequest, Refused
from overlay.records.refusal import Refusal

Respond = Callable[[ControlAnswer], None]
"""Takes the answer to one request; to be called once."""

AnswerNow = Callable[[Any, float, Respond], bool]
"""Answers without a task, in the same turn of the loop or by a callback. False: it cannot, and has
not called; the request has to be answered by an `AnswerLater`."""
AnswerLater = Callable[[Any, float], Awaitable[ControlAnswer]]
"""Answers after waiting; raises `SipfarmError`s that say why there is no answer."""

NowByKind = Mapping[type[ControlRequest], AnswerNow]
LaterByKind = Mapping[type[ControlRequest], AnswerLater]


def refused(refusal: Refusal) -> Refused:
    """The refusal as an answer."""
    return Refused(id=0, code=refusal.code, reason=refusal.reason)
