"""What a part says about the requests of other nodes that it answers.

In: kinds of requests, from the message modules of this package; the part's methods. Out: handlers.
Counterpart: the dispatcher, `overlay.daemon.peer_requests`, gathers the handlers of all parts and
calls them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from overlay.links.link import Answered
from overlay.links.peer_protocol import PeerReply, PeerRequest
from overlay.observe.part import Part

R = TypeVar("R", bound=PeerRequest)
AtOnce = Callable[[bytes, Any, Answered], None]
"""Given the peer's node id, its request, and the way to answer; must return at once."""
InTime = Callable[[bytes, Any], Coroutine[Any, Any, PeerReply]]
"""Given the peer's node id and its request; may wait, and raise `SipfarmError`."""


@dataclass(frozen=True, kw_only=True)
class RequestHandler:
    """The method of a part that answers one kind of request."""

    kind: type[PeerRequest]
    serve: AtOnce | None = None
    wait: InTime | None = None
    """Run as a task; the one or the other is set."""


Handlers = tuple[RequestHandler, ...]


def replies(kind: type[R], method: Callable[[bytes, R], PeerReply]) -> RequestHandler:
    """`method` returns the reply. A `ValueError` from it, or from decoding, is a bad request."""

    def serve(peer: bytes, request: R, answer: Answered) -> None:
        answer(method(peer, request))

    return RequestHandler(kind=kind, serve=serve)


def calls_back(kind: type[R], method: Callable[[bytes, R, Answered], None]) -> RequestHandler:
    """`method` returns at once and sends the reply now or later; errors as for `replies`."""
    return RequestHandler(kind=kind, serve=method)


def waits(
    kind: type[R], method: Callable[[bytes, R], Coroutine[Any, Any, PeerReply]]
) -> RequestHandler:
    """`method` is run as a task. A `SipfarmError` from it tells the peer why it failed."""
    return RequestHandler(kind=kind, wait=method)


class PeerPart(Part, ABC):
    """A part that answers requests of other nodes."""

    @abstractmethod
    def requests(self) -> Handlers:
        """The kinds of requests that this part answers, and how. No other part answers them."""
