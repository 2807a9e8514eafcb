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
from dataclasses import dataclass
from typing import Protocol

from overlay.base import limit_hits
from overlay.base.limits import REQUESTS_WAITING_PER_PEER_MAX
from overlay.links.link import Answered, Link
from overlay.links.peer_protocol import Failed, PeerReply, PeerRequest


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


@dataclass(eq=False, kw_only=True)
class _Unsent:
    request: PeerRequest
    answered: Answered | None
    until_s: float

    def answer(self, reply: PeerReply) -> None:
        """Once."""
        answered, self.answered = self.answered, None
        if answered is not None:
            answered(reply)


class Waiting:
    """Requests that wait for a link, by peer."""

    def __init__(self, linked: Callable[[bytes], Link | None]) -> None:
        self._linked = linked
        self._loop = asyncio.get_running_loop()
        self._entries: dict[bytes, list[_Unsent]] = {}

    def add(
        self,
        node_id: bytes,
        dial: "asyncio.Task[None]",
        request: PeerRequest,
        answered: Answered,
        timeout_s: float,
    ) -> None:
        """Send this when `dial` has brought a link; after `timeout_s` it has failed."""
        entries = self._entries.get(node_id)
        if entries is None:
            entries = self._entries[node_id] = []
            dial.add_done_callback(lambda _: self._dialled(node_id))
        if len(entries) >= REQUESTS_WAITING_PER_PEER_MAX:
            limit_hits.hit("REQUESTS_WAITING_PER_PEER_MAX")
            answered(Failed(code="busy", reason="too many requests wait for a link"))
            return
        until_s = self._loop.time() + timeout_s
        entry = _Unsent(request=request, answered=answered, until_s=until_s)
        entries.append(entry)
        late = Failed(code="unavailable", reason="no link in time")
        self._loop.call_later(timeout_s, entry.answer, late)

    def _dialled(self, node_id: bytes) -> None:
        link = self._linked(node_id)
        for entry in self._entries.pop(node_id):
            answered, entry.answered = entry.answered, None
            if answered is None:
                continue
            if link is None:
                answered(Failed(code="unavailable", reason="it cannot be reached"))
            else:
                link.request(entry.request, answered, entry.until_s - self._loop.time())
