"""Links that exist only while requests use them.

In: requests to peers without a link; links unused for a while. Out: the same requests once a link
is up; the links that may be closed. Counterparts: `network.py` carries it out; `LinkPolicy` decides
which peers deserve a link, and dials them.

    no link ──request──► dialled ──up──► requests sent ──idle, asked by `Idle`, agreed──► closed
                            └─fails─► requests failed

The node that dialled a link asks for its end. The other node agrees if it does not want the link
either. Both have then taken the link out of use before it closes, so neither takes its end for a
crash.
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
    """Decides which peers deserve a link."""

    def kept(self, node_id: bytes) -> bool:
        """Whether the link stays open although nobody uses it."""
        ...

    def dial(self, node_id: bytes) -> "asyncio.Task[None] | None":
        """Begin to dial a peer that has no link; None if this peer should not be asked."""
        ...

    def parted(self, node_id: bytes) -> None:
        """Note that the link to this peer ends by agreement of both ends."""
        ...


class EveryLink:
    """The policy of a full mesh: no link is opened for a request, and none is closed as idle."""

    def kept(self, node_id: bytes) -> bool:
        return True

    def dial(self, node_id: bytes) -> "asyncio.Task[None] | None":
        return None

    def parted(self, node_id: bytes) -> None:
        """Never called."""


@dataclass(eq=False, kw_only=True)
class _Unsent:
    request: PeerRequest
    answered: Answered | None
    until_s: float

    def answer(self, reply: PeerReply) -> None:
        """Pass the reply on, once."""
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
        """Send this request when `dial` has brought a link. After `timeout_s` it fails."""
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
