"""The service behind the control socket, without the socket.

In: decoded requests. Out: answers. Counterparts: `server.py` reads and writes the frames;
`proxy_service.py` and `operator_service.py` answer.
"""

from collections.abc import Awaitable

from overlay.control import control_codec
from overlay.control.answering import LaterByKind, NowByKind, Respond
from overlay.control.control_protocol import ControlAnswer, ControlRequest
from overlay.control.operator_service import OperatorService
from overlay.control.proxy_service import ProxyService


class ControlService:
    """Answers every kind of request at one node."""

    def __init__(self, proxies: ProxyService, operators: OperatorService) -> None:
        self._now: NowByKind = proxies.now
        self._later: LaterByKind = {**proxies.later, **operators.later}
        unanswered = set(control_codec.REQUESTS) - self._now.keys() - self._later.keys()
        assert not unanswered, f"nothing answers {unanswered}"

    def take(
        self, request: ControlRequest, deadline_s: float, respond: Respond
    ) -> Awaitable[ControlAnswer] | None:
        """Answer the request, or return what has to be awaited for its answer.

        None: `respond` has been called with the answer, or will be.
        """
        kind = type(request)
        now = self._now.get(kind)
        if now is not None and now(request, deadline_s, respond):
            return None
        return self._later[kind](request, deadline_s)
