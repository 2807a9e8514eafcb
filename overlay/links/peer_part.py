"""How a part declares the requests of other nodes that it answers.

In: kinds of requests, from the message modules of this package; the part's methods. Out: handlers.
Counterpart: the dispatcher, `overlay.daemon.peer_requests`, which gathers the handlers of all parts
and calls them.
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
"""Called with the peer's node id, its request, and the function that answers. Must return at
once."""
InTime = Callable[[bytes, Any], Coroutine[Any, Any, PeerReply]]
"""Called with the peer's node id and its request. May wait, and may raise `SipfarmError`."""


@dataclass(frozen=True, kw_only=True)
class RequestHandler:
    """The method of a part that answers one kind of request."""

    kind: type[PeerRequest]
    serve: AtOnce | None = None
    wait: InTime | None = None
    """Runs as a task. Either this or the other method is set."""


Handlers = tuple[RequestHandler, ...]


def replies(kind: type[R], method: Callable[[bytes, R], PeerReply]) -> RequestHandler:
    """`method` returns the reply. A `ValueError` in it, or in decoding, means a bad request."""

    def serve(peer: bytes, request: R, answer: Answered) -> None:
        answer(method(peer, request))

    return RequestHandler(kind=kind, serve=serve)


def calls_back(kind: type[R], method: Callable[[bytes, R, Answered], None]) -> RequestHandler:
    """`method` returns at once and sends the reply now or later. Errors are as for `replies`."""
    return RequestHandler(kind=kind, serve=method)


def waits(
    kind: type[R], method: Callable[[bytes, R], Coroutine[Any, Any, PeerReply]]
) -> RequestHandler:
    """`method` runs as a task. If it raises a `SipfarmError`, the peer gets its text as the
    reason."""
    return RequestHandler(kind=kind, wait=method)


class PeerPart(Part, ABC):
    """A part that answers requests of other nodes."""

    @abstractmethod
    def requests(self) -> Handlers:
        """The kinds of requests that this part answers, each with its method. No other part answers
        them."""
