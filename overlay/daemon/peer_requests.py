"""Hands each request of another node to the part that answers its kind.

In: requests from the links. Out: their answers, at once where that is possible. Counterparts: the
message modules of `overlay.links` declare the requests; each `PeerPart.requests` names those that a
part answers.
"""

import logging
from collections.abc import Callable, Iterable

import msgspec

from overlay.base.errors import SipfarmError
from overlay.base.tasks import Background
from overlay.links.link import Answered
from overlay.links.peer_part import InTime, RequestHandler
from overlay.links.peer_protocol import Failed, PeerReply, PeerRequest
from overlay.observe.part import Part

log = logging.getLogger(__name__)


class PeerRequests(Part):
    """The requests of all peers to one node."""

    def __init__(self, count: Callable[[str], None]) -> None:
        """`count` is called with the name of each request's kind."""
        self._count = count
        self._tasks = Background()
        self._handlers: dict[type[PeerRequest], RequestHandler] = {}

    def gather(self, handlers: Iterable[RequestHandler]) -> None:
        """Register the handlers of a part; raises `ValueError` if another part answers one of the
        kinds."""
        for handler in handlers:
            if self._handlers.setdefault(handler.kind, handler) is not handler:
                raise ValueError(f"two parts answer {handler.kind.__name__}")

    @property
    def kinds(self) -> frozenset[type[PeerRequest]]:
        """The kinds of requests that some part answers."""
        return frozenset(self._handlers)

    def answer(self, peer: bytes, request: PeerRequest, reply: Answered) -> None:
        """Answer a peer, at once where that is possible."""
        kind = type(request)
        self._count(kind.__name__)
        handler = self._handlers.get(kind)
        if handler is None:
            reply(Failed(code="bad-request", reason=f"{kind.__name__} is not known here"))
        elif handler.serve is None:
            assert handler.wait is not None
            self._as_task(handler.wait, peer, request, reply)
        else:
            try:
                handler.serve(peer, request, reply)
            except (msgspec.MsgspecError, ValueError) as error:
                reply(Failed(code="bad-request", reason=str(error)))

    async def stop(self) -> None:
        """End the requests that are still being answered."""
        await self._tasks.end()

    # inner workings

    def _as_task(self, wait: InTime, peer: bytes, request: PeerRequest, reply: Answered) -> None:
        async def run() -> None:
            try:
                answer: PeerReply = await wait(peer, request)
            except SipfarmError as error:
                answer = Failed(code="storage", reason=str(error))
            except Exception:
                log.exception("a peer's %s failed", type(request).__name__)
                answer = Failed(code="internal", reason="see the log")
            reply(answer)

        self._tasks.start(run())
