"""One mutual-TLS connection to one peer: handshake, requests and their answers.

In: bytes from the transport, and requests from this node. Out: the peer's requests, for the link's
owner; answers, for the callers of `request`. Counterparts: the same class at the other end;
`network.py` keeps the links of a node.

All frames of one turn of the event loop leave in one write. Under load, writes are most of the cost
of a small message.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Protocol, cast

import msgspec

from overlay.base import limit_hits
from overlay.base.errors import IdentityError, LimitError, ProtocolError
from overlay.base.frames import FrameBuffer, pack
from overlay.base.limits import (
    LINK_FRAME_BYTES_MAX,
    LINK_SEND_BUFFER_BYTES_MAX,
    REQUEST_BYTES_SERVED_PER_LINK_MAX,
    REQUESTS_OUTSTANDING_PER_LINK_MAX,
    REQUESTS_SERVED_PER_LINK_MAX,
)
from overlay.identity.peer import Peer
from overlay.links import peer_codec, peer_protocol
from overlay.links.peer_protocol import Failed, Goodbye, Hello, PeerReply, PeerRequest

log = logging.getLogger(__name__)

Answered = Callable[[PeerReply], None]
EXPIRE_PAUSE_S = 0.05
"""The shortest time between two checks for requests whose deadline has passed."""
TIMER_EARLY_S = 0.001
"""uvloop counts in milliseconds, so a timer may fire this much too early."""
TCP_THIN_LINEAR_TIMEOUTS = 16
"""The value in Linux, for which tcp(7) names only the sysctl. A connection with fewer than four
segments under way then repeats a lost segment at even intervals, and not at ever longer ones. Six
losses in a row then take 1.4 s. Otherwise they would take 13 s, and a living peer would be taken
for dead."""
HELLO_WITHIN_S = 5.0
"""Time for the Hello after TLS is up. A peer that takes longer is cut off."""
CLOSED_WITHIN_S = 5.0
"""Time after a goodbye. A peer that does not read it must not keep the connection."""


class LinkOwner(Protocol):
    """What a link tells the network that owns it."""

    def hello(self) -> Hello: ...
    def connected(self, link: "Link") -> None: ...
    def identify(self, transport: asyncio.Transport) -> Peer: ...
    def link_up(self, link: "Link") -> None: ...
    def link_down(self, link: "Link", reason: str) -> None: ...
    def request_received(self, link: "Link", request: PeerRequest, reply: Answered) -> None: ...
    def goodbye_received(self, link: "Link", goodbye: Goodbye) -> None: ...


class Link(asyncio.Protocol):
    """A connection. It is usable once `peer` is set, which means that its Hello was accepted."""

    def __init__(self, owner: LinkOwner, outgoing: bool) -> None:
        self.outgoing = outgoing
        self.peer: Hello | None = None
        self.heard_at_s = 0.0
        self.used_at_s = 0.0
        """When either end last sent a request, other than upkeep."""
        self.parted = False
        """Whether both ends agreed to end the link, so that it is out of use."""
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._certificate: Peer | None = None
        self._frames = FrameBuffer(LINK_FRAME_BYTES_MAX, "LINK_FRAME_BYTES_MAX")
        self._outbox: list[bytes] = []
        self._outbox_bytes = 0
        self.served = 0
        """Requests of the peer that have no answer yet."""
        self._served_bytes = 0
        self._hello_due: asyncio.TimerHandle | None = None
        self._waiting: dict[int, tuple[Answered, float, type[PeerReply]]] = {}
        self._last_id = 0
        self._expiry: asyncio.TimerHandle | None = None
        self._expiry_due_s = 0.0
        self._reason = "closed by the peer"
        self._refusal = ""

    @property
    def node_id(self) -> bytes:
        """The peer's id; only after the handshake."""
        assert self.peer is not None
        return self.peer.node.node_id

    @property
    def peer_incarnation(self) -> int:
        """The peer's incarnation; only after the handshake."""
        assert self.peer is not None
        return self.peer.incarnation

    @property
    def usable(self) -> bool:
        """Whether the handshake is done and the link is not closing."""
        return self.peer is not None and self._transport is not None

    @property
    def busy(self) -> bool:
        """Whether this node waits for answers on the link."""
        return bool(self._waiting)

    def refuse(self, reason: str) -> None:
        """Close the connection as soon as it is made."""
        self._refusal = reason

    def request(self, request: PeerRequest, answered: Answered, timeout_s: float) -> None:
        """Ask the peer. `answered` is called once, with `Failed` if there is no answer."""
        if not self.usable:
            answered(Failed(code="unavailable", reason="link is down"))
            return
        needed = request.needs
        if needed is not None and self.peer is not None and needed not in self.peer.capabilities:
            answered(Failed(code="unknown-kind", reason=f"{self._peer_name()} is too old for it"))
            return
        if len(self._waiting) >= REQUESTS_OUTSTANDING_PER_LINK_MAX:
            limit_hits.hit("REQUESTS_OUTSTANDING_PER_LINK_MAX")
            answered(Failed(code="busy", reason="too many requests outstanding"))
            return
        if not request.upkeep:
            self.used_at_s = self._loop.time()
        self._last_id = request_id = self._last_id + 1
        if not self.send(msgspec.structs.replace(request, id=request_id)):
            answered(Failed(code="too-large", reason="the request does not fit into a frame"))
            return
        until_s = self._loop.time() + timeout_s
        self._waiting[request_id] = (answered, until_s, request.answered_by)
        if self._expiry is None:
            self._expire_at(until_s)
        elif until_s + EXPIRE_PAUSE_S < self._expiry_due_s:
            self._expiry.cancel()
            self._expire_at(until_s)

    def send(self, message: peer_protocol.Message) -> bool:
        """Queue a message, which leaves at the end of this turn of the loop; False if it is too
        large."""
        payload = peer_codec.encode(message)
        if len(payload) > LINK_FRAME_BYTES_MAX:
            limit_hits.hit("LINK_FRAME_BYTES_MAX")
            return False
        if self._transport is not None and not self._transport.is_closing():
            if not self._outbox:
                self._loop.call_soon(self._flush)
            self._outbox.append(pack(payload))
            self._outbox_bytes += len(payload)
            if self._outbox_bytes > LINK_FRAME_BYTES_MAX:
                # Many large answers in one turn must not all wait for its end.
                self._flush()
        return True

    def close(self, reason: str, *, left: bool = False) -> None:
        """Say goodbye, and close when the queued messages have left."""
        if self._transport is None:
            return
        self._reason = reason
        self.send(Goodbye(left=left, reason=reason))
        self._flush()
        if self._transport is not None:
            self._transport.close()
            self._loop.call_later(CLOSED_WITHIN_S, self.abort, reason)

    def abort(self, reason: str) -> None:
        """Close at once, as the peer does not answer."""
        if self._transport is not None:
            self._reason = reason
            self._transport.abort()

    # Methods of asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is up: check the peer's certificate, and say hello."""
        self._transport = cast(asyncio.Transport, transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1)
        self.heard_at_s = self.used_at_s = self._loop.time()
        if self._refusal:
            self.abort(self._refusal)
            return
        try:
            self._owner.connected(self)
            self._certificate = self._owner.identify(self._transport)
        except (IdentityError, LimitError) as error:
            self.abort(str(error))
            return
        self._hello_due = self._loop.call_later(HELLO_WITHIN_S, self.abort, "no hello in time")
        self.send(self._owner.hello())

    def data_received(self, data: bytes) -> None:
        """Take in frames. A frame that no peer can have sent closes the link."""
        self.heard_at_s = self._loop.time()
        try:
            for payload in self._frames.feed(data):
                self._decoded(payload)
                if self._transport is None or self._transport.is_closing():
                    return
        except (msgspec.MsgspecError, ProtocolError, LimitError) as error:
            log.warning("link to %s: %s", self._peer_name(), error)
            self.abort(f"protocol error: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all requests that wait for an answer, then tell the owner."""
        self._transport = None
        self._outbox.clear()
        for timer in (self._expiry, self._hello_due):
            if timer is not None:
                timer.cancel()
        self._expiry = self._hello_due = None
        waiting, self._waiting = self._waiting, {}
        for answered, _, _ in waiting.values():
            answered(Failed(code="unavailable", reason="link broke"))
        self._owner.link_down(self, str(exc) if exc else self._reason)

    # inner workings

    def _decoded(self, payload: bytes) -> None:
        """Take in one frame. A request of an unknown kind, from a newer peer, does not close the
        link."""
        try:
            message = peer_codec.decode(payload)
        except msgspec.ValidationError:
            head = peer_codec.unknown_kind(payload) if self.peer is not None else None
            if head is None:
                raise
            self.send(Failed(id=head.id, code="unknown-kind", reason=f"kind {head.tag}"))
            return
        self._received(message, len(payload))

    def _received(self, message: peer_protocol.Message, size_bytes: int) -> None:
        if self.peer is None:
            self._greeted(message)
        elif isinstance(message, PeerReply):
            self._told(message)
        elif isinstance(message, Goodbye):
            self._reason = message.reason
            self._owner.goodbye_received(self, message)
        elif isinstance(message, Hello):
            raise ProtocolError("a second hello")
        else:
            request = cast(PeerRequest, message)
            if not request.upkeep:
                self.used_at_s = self.heard_at_s
            self._asked(request, size_bytes)

    def _told(self, reply: PeerReply) -> None:
        """Pass on the peer's answer. If it is late, nobody waits for it any more."""
        entry = self._waiting.pop(reply.id, None)
        if entry is None:
            return
        answered, _, fitting = entry
        if not isinstance(reply, (fitting, Failed)):
            log.warning("link to %s: %s is no answer", self._peer_name(), type(reply).__name__)
            reply = Failed(code="bad-answer", reason="an answer to another question")
        answered(reply)

    def _asked(self, request: PeerRequest, size_bytes: int) -> None:
        """Take a request of the peer. A peer with too many requests under way gets `busy` as the
        answer."""
        if self.served >= REQUESTS_SERVED_PER_LINK_MAX:
            self._busy(request.id, "REQUESTS_SERVED_PER_LINK_MAX")
            return
        if self._served_bytes > REQUEST_BYTES_SERVED_PER_LINK_MAX:
            self._busy(request.id, "REQUEST_BYTES_SERVED_PER_LINK_MAX")
            return
        self.served += 1
        self._served_bytes += size_bytes

        def reply(answer: PeerReply) -> None:
            self.served -= 1
            self._served_bytes -= size_bytes
            if not self.send(msgspec.structs.replace(answer, id=request.id)):
                reason = "the answer is too large"
                self.send(Failed(id=request.id, code="too-large", reason=reason))

        self._owner.request_received(self, request, reply)

    def _busy(self, request_id: int, limit: str) -> None:
        limit_hits.hit(limit)
        reason = "too many requests of this peer are under way"
        self.send(Failed(id=request_id, code="busy", reason=reason))

    def _greeted(self, message: peer_protocol.Message) -> None:
        if isinstance(message, Goodbye):
            self.abort(message.reason)
            return
        if not isinstance(message, Hello):
            raise ProtocolError("the first frame was not a hello")
        certificate, ours = self._certificate, self._owner.hello()
        assert certificate is not None
        claimed = (message.node.node_id, message.node.name, message.node.host, message.farm)
        proven = (certificate.node_id, certificate.name, certificate.address, certificate.farm)
        if claimed != proven:
            raise ProtocolError("hello does not agree with the certificate")
        if message.version_min > ours.version_max or message.version_max < ours.version_min:
            self.close(
                f"no common protocol version: {message.version_min}-{message.version_max} there, "
                f"{ours.version_min}-{ours.version_max} here"
            )
            return
        self.peer = message
        if self._hello_due is not None:
            self._hello_due.cancel()
            self._hello_due = None
        self._owner.link_up(self)

    def _flush(self) -> None:
        outbox, self._outbox, self._outbox_bytes = self._outbox, [], 0
        if self._transport is None or not outbox:
            return
        if self._transport.get_write_buffer_size() > LINK_SEND_BUFFER_BYTES_MAX:
            limit_hits.hit("LINK_SEND_BUFFER_BYTES_MAX")
            self.abort("peer does not read")
            return
        self._transport.write(b"".join(outbox) if len(outbox) > 1 else outbox[0])

    def _expire_at(self, due_s: float) -> None:
        """Set the timer to the first deadline.

        By then most requests have had their answers. A regular check would wake the process for
        nothing.
        """
        self._expiry_due_s = due_s
        self._expiry = self._loop.call_at(due_s + TIMER_EARLY_S, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        now_s = self._loop.time()
        late = [key for key, (_, until_s, _) in self._waiting.items() if until_s <= now_s]
        for key in late:
            # This callback may close the link, which fails all other requests.
            if entry := self._waiting.pop(key, None):
                entry[0](Failed(code="unavailable", reason="no answer in time"))
        if self._waiting and self._expiry is None:
            first_s = min(until_s for _, until_s, _ in self._waiting.values())
            self._expire_at(max(first_s, now_s + EXPIRE_PAUSE_S))

    def _peer_name(self) -> str:
        return self.peer.node.name if self.peer else "?"
