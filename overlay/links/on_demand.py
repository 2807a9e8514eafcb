"""Links that are there for as long as somebody uses them.

In: requests to peers without a link, links that nobody used for a while. Out: the same requests
once a link is up; which links may go. Counterparts: `network.py` does it; `LinkPolicy` says who is
worth a link, and has peers dialled.

    no link ──request──► dialled ──up──► requests sent ──idle, asked by `Idle`, agreed──► closed
                            └─fails─► requests failed

Who dialled a link asks for its end, and the other end agrees if it does not want it either. Both
have taken the link out of use by then, so that its end is taken for a crash by nobody.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from overlay.limits import REQUESTS_WAITING_PER_PEER_MAX
from overlay.links.link import Answered, Link
from overlay.links.messages import Failed, Request


class LinkPolicy(Protocol):
    """Who is worth a link."""

    def kept(self, node_id: bytes) -> bool:
        """Whether the link is to stay though nobody uses it."""
        ...

    def dial(self, node_id: bytes) -> "asyncio.Task[None] | None":
        """Begin to dial a peer that has no link; None: it is nobody who should be asked."""
        ...

    def parted(self, node_id: bytes) -> None:
        """The link to this peer ends, as both ends agreed."""
        ...


class EveryLink:
    """The policy of a full mesh: no link is opened for a request, none is closed as idle."""

    def kept(self, node_id: bytes) -> bool:
        return True

    def dial(self, node_id: bytes) -> "asyncio.Task[None] | None":
        return None

    def parted(self, node_id: bytes) -> None:
        """Does not happen."""


class Waiting:
    """Requests that wait for a link, by peer."""

    def __init__(self, linked: Callable[[bytes], Link | None]) -> None:
        self._linked = linked
        self._requests: dict[bytes, list[tuple[Request, Answered, float]]] = {}

    def add(
        self,
        node_id: bytes,
        dial: "asyncio.Task[None]",
        request: Request,
        answered: Answered,
        timeout_s: float,
    ) -> None:
        """Send this when `dial` has brought a link; no later than `timeout_s` it has failed."""
        waiting = self._requests.get(node_id)
        if waiting is None:
            waiting = self._requests[node_id] = []
            dial.add_done_callback(lambda _: self._ended(node_id, waiting))
        if len(waiting) >= REQUESTS_WAITING_PER_PEER_MAX:
            answered(Failed(code="busy", reason="too many requests wait for a link"))
            return
        until_s = asyncio.get_running_loop().time() + timeout_s
        waiting.append((request, answered, until_s))

    def _ended(self, node_id: bytes, waiting: list[tuple[Request, Answered, float]]) -> None:
        self._requests.pop(node_id, None)
        link = self._linked(node_id)
        now_s = asyncio.get_running_loop().time()
        for request, answered, until_s in waiting:
            if link is None:
                answered(Failed(code="unavailable", reason="it cannot be reached"))
            elif until_s <= now_s:
                answered(Failed(code="unavailable", reason="no link in time"))
            else:
                link.request(request, answered, until_s - now_s)
