"""The links of one node: listens, dials, and uses one link to each peer.

In: addresses to dial, and requests for peers. Out: peers that came and went, and the requests that
they sent. Counterpart: the same module on every other node. `Transport` is what the rest of the
daemon sees of the network. A simulation replaces it.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Protocol

from overlay.base import limit_hits
from overlay.base.errors import IdentityError, LimitError, UnavailableError
from overlay.base.limits import HANDSHAKES_MAX, LINKS_MAX, LINKS_PER_PEER_MAX
from overlay.identity.identity import Identity
from overlay.identity.peer import Peer, peer_of
from overlay.links import peer_protocol
from overlay.links.datagrams import Datagrams
from overlay.links.link import Answered, Link
from overlay.links.member_messages import DatagramKey, Idle
from overlay.links.on_demand import EveryLink, LinkPolicy, Waiting
from overlay.links.peer_protocol import Ack, Failed, Goodbye, Hello, PeerReply, PeerRequest
from overlay.records.node_info import NodeInfo

log = logging.getLogger(__name__)

PART_TIMEOUT_S = 2.0
KEY_TIMEOUT_S = 5.0
TLS_WITHIN_S = 5.0
"""Time for the TLS handshake of a peer that connects."""


class Handler(Protocol):
    """The part that hears of links that come up and break, and of requests."""

    def peer_up(self, hello: Hello) -> None: ...
    def peer_down(self, node_id: bytes, reason: str, left: bool) -> None: ...
    def request_received(
        self, sender: Hello, request: PeerRequest, reply: Callable[[PeerReply], None]
    ) -> None: ...


class Transport(Protocol):
    """The network as the daemon's rules see it."""

    def request(
        self, node_id: bytes, request: PeerRequest, answered: Answered, timeout_s: float
    ) -> None:
        """Ask a peer, and dial it first if there is no link.

        `answered` is called exactly once, with `Failed` if there is no answer.
        """
        ...

    def ask(
        self, node_id: bytes, request: PeerRequest, timeout_s: float
    ) -> "asyncio.Future[PeerReply]":
        """Ask a peer; the future's result is the reply, or `Failed`. The future never raises."""
        ...

    def knock(self, node_id: bytes, answered: Callable[[], None], timeout_s: float) -> None:
        """Ping beside the link, in a packet that holds up nothing if it is lost. No link needs to
        be up.

        `answered` is called at most once. It is not called if there is no answer, or no way to ask.
        """
        ...

    def linked(self, node_id: bytes) -> bool: ...
    def heard_at_s(self, node_id: bytes) -> float:
        """Loop time at which the peer last sent anything; 0 if there is no link."""
        ...

    async def dial(self, host: str, port: int, timeout_s: float) -> Hello:
        """Link to the node at this address; raises `UnavailableError` or `IdentityError`."""
        ...

    def drop(self, node_id: bytes, reason: str) -> None:
        """Break every link to this peer at once."""
        ...

    def keep_by(self, policy: LinkPolicy, idle_s: float) -> None:
        """Dial peers that requests need, and close links unused for `idle_s`, as `policy`
        decides."""
        ...

    def shut_out(self, node_ids: frozenset[bytes]) -> None:
        """Break links to these nodes at once and refuse new ones. This replaces the nodes of an
        earlier call."""
        ...


class Network:
    """Mutual-TLS links over TCP."""

    def __init__(self, identity: Identity, hello: Hello) -> None:
        self._identity = identity
        self._hello = hello
        self._handler: Handler | None = None
        self._links: dict[bytes, Link] = {}
        self._open: dict[Link, None] = {}
        self._of_peer: dict[bytes, dict[Link, None]] = {}
        """By peer: all its links that exchanged hellos, spare links included."""
        self._datagrams: Datagrams | None = None
        self._silent: set[Link] = set()
        """Incoming links whose hello has not come yet."""
        self._greeting: dict[Link, asyncio.Future[Hello]] = {}
        self._left: set[bytes] = set()
        self._server: asyncio.Server | None = None
        self._stopping = False
        self._policy: LinkPolicy = EveryLink()
        self._idle_s = 0.0
        self._sweep: asyncio.TimerHandle | None = None
        self._waiting = Waiting(self._links.get)
        self._shut_out: frozenset[bytes] = frozenset()
        self.revoked_refused = 0
        """The number of refused connections of revoked nodes."""

    async def start(self, handler: Handler, host: str, port: int) -> None:
        """Listen on TCP and UDP; raises `OSError` if the address cannot be had."""
        self._handler = handler
        loop = asyncio.get_running_loop()
        datagrams = self._datagrams = Datagrams(self._hello.node.node_id, self.secret())
        await loop.create_datagram_endpoint(lambda: datagrams, local_addr=(host, port))
        self._server = await loop.create_server(
            self._incoming,
            host,
            port,
            ssl=self._identity.server_context,
            ssl_handshake_timeout=TLS_WITHIN_S,
        )

    async def stop(self, *, left: bool) -> None:
        """Close every link, and tell the peers whether this node leaves for good."""
        self._stopping = True
        if self._sweep is not None:
            self._sweep.cancel()
        if self._server is not None:
            self._server.close()
        for link in list(self._open):
            link.close("leaving" if left else "stopping", left=left)
        for _ in range(20):
            if not self._open:
                break
            await asyncio.sleep(0.01)
        for link in list(self._open):
            link.abort("stopping")
        if self._datagrams is not None:
            self._datagrams.close()
        if self._server is not None:
            await self._server.wait_closed()

    def request(
        self, node_id: bytes, request: PeerRequest, answered: Answered, timeout_s: float
    ) -> None:
        link = self._links.get(node_id)
        if link is not None:
            link.request(request, answered, timeout_s)
            return
        dial = None if self._stopping else self._policy.dial(node_id)
        if dial is None:
            answered(Failed(code="unavailable", reason="no link"))
        else:
            self._waiting.add(node_id, dial, request, answered, timeout_s)

    def ask(
        self, node_id: bytes, request: PeerRequest, timeout_s: float
    ) -> "asyncio.Future[PeerReply]":
        future: asyncio.Future[PeerReply] = asyncio.get_running_loop().create_future()

        def answered(reply: PeerReply) -> None:
            if not future.done():
                future.set_result(reply)

        self.request(node_id, request, answered, timeout_s)
        return future

    def knock(self, node_id: bytes, answered: Callable[[], None], timeout_s: float) -> None:
        if self._datagrams is not None:
            self._datagrams.ping(node_id, answered, timeout_s)

    def linked(self, node_id: bytes) -> bool:
        return node_id in self._links

    def heard_at_s(self, node_id: bytes) -> float:
        link = self._links.get(node_id)
        return link.heard_at_s if link else 0.0

    def drop(self, node_id: bytes, reason: str) -> None:
        # Break the spare links too. A spare would replace the link, and nobody would hear that the
        # peer is down.
        for link in list(self._of_peer.get(node_id, ())):
            link.abort(reason)

    def keep_by(self, policy: LinkPolicy, idle_s: float) -> None:
        self._policy = policy
        self._idle_s = idle_s
        self._sweep = asyncio.get_running_loop().call_later(idle_s / 4, self._part_with_idle)

    def shut_out(self, node_ids: frozenset[bytes]) -> None:
        self._shut_out = node_ids
        for link in list(self._open):
            if link.peer is not None and link.node_id in node_ids:
                # Treat the node as one that has left, so that nobody waits for it.
                self._left.add(link.node_id)
                link.abort("revoked")

    async def dial(self, host: str, port: int, timeout_s: float) -> Hello:
        loop = asyncio.get_running_loop()
        greeting: asyncio.Future[Hello] = loop.create_future()
        link = Link(self, outgoing=True)
        self._greeting[link] = greeting
        try:
            async with asyncio.timeout(timeout_s):
                await loop.create_connection(
                    lambda: link,
                    host,
                    port,
                    ssl=self._identity.client_context,
                    server_hostname=self._hello.farm,
                )
                return await greeting
        except TimeoutError as error:
            link.abort("handshake took too long")
            raise UnavailableError(f"{host}:{port}: no answer in {timeout_s:g} s") from error
        except OSError as error:
            raise UnavailableError(f"{host}:{port}: {error}") from error
        except asyncio.CancelledError:
            link.abort("no longer wanted")
            raise
        finally:
            self._greeting.pop(link, None)
            if not greeting.done():
                greeting.cancel()
            elif not greeting.cancelled():
                greeting.exception()

    def secret(self) -> bytes:
        """The secret from which the keys of this node's datagrams are made."""
        return secrets.token_bytes(32)

    # Methods of LinkOwner.

    def hello(self) -> Hello:
        return self._hello

    def connected(self, link: Link) -> None:
        if link.outgoing:
            return
        if len(self._silent) >= HANDSHAKES_MAX:
            limit_hits.hit("HANDSHAKES_MAX")
            raise LimitError("too many connections whose hello is awaited")
        self._silent.add(link)

    def identify(self, transport: asyncio.Transport) -> Peer:
        peer = peer_of(transport.get_extra_info("ssl_object"))
        if peer.node_id in self._shut_out:
            self.revoked_refused += 1
            raise IdentityError(f"{peer.name} is revoked")
        return peer

    def link_up(self, link: Link) -> None:
        assert link.peer is not None
        assert self._handler is not None
        node_id = link.node_id
        self._silent.discard(link)
        if self._stopping:
            self._greeted(link, UnavailableError("stopping"))
            link.abort("stopping")
            return
        if node_id in self._shut_out:
            self._greeted(link, IdentityError("revoked"))
            link.abort("revoked")
            return
        self._open[link] = None
        if node_id == self._hello.node.node_id:
            self._greeted(link, IdentityError("that is this node itself"))
            link.close("talking to myself")
            return
        current = self._links.get(node_id)
        self._make_room(node_id)
        self._of_peer.setdefault(node_id, {})[link] = None
        if current is None or self._preferred(link, current):
            self._links[node_id] = link
            self._left.discard(node_id)
            if current is not None and link.peer.incarnation != current.peer_incarnation:
                current.abort("the peer restarted")
            self._handler.peer_up(link.peer)
            self._give_key(link)
        self._greeted(link, link.peer)

    def link_down(self, link: Link, reason: str) -> None:
        self._open.pop(link, None)
        self._silent.discard(link)
        if link.peer is None:
            self._greeted(link, UnavailableError(reason))
            return
        node_id = link.node_id
        self._forget(link)
        if self._links.get(node_id) is not link:
            return
        assert self._handler is not None
        if self._take_spare(node_id):
            # The requests under way on the other link failed, so the listeners treat the spare as a
            # new link.
            spare = self._links[node_id].peer
            assert spare is not None
            self._handler.peer_up(spare)
            return
        self._handler.peer_down(node_id, reason, node_id in self._left)

    def goodbye_received(self, link: Link, goodbye: Goodbye) -> None:
        if goodbye.left:
            self._left.add(link.node_id)

    def request_received(self, link: Link, request: PeerRequest, reply: Answered) -> None:
        assert self._handler is not None
        assert link.peer is not None
        if isinstance(request, Idle):
            reply(self._asked_to_part(link))
            return
        if isinstance(request, DatagramKey):
            if self._datagrams is not None:
                self._datagrams.learn(link.peer.node, request.key)
            reply(Ack())
            return
        self._handler.request_received(link.peer, request, reply)

    # inner workings

    def _give_key(self, link: Link) -> None:
        if self._datagrams is not None:
            key = self._datagrams.key_for(link.node_id)
            link.request(DatagramKey(key=key), _taken, KEY_TIMEOUT_S)

    def _part_with_idle(self) -> None:
        """Ask to end the links that this node dialled and that nobody uses."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for link in list(self._open):
            if link.outgoing and self._idle(link, now_s, self._idle_s):
                self._ask_to_part(link)
        self._sweep = loop.call_later(self._idle_s / 4, self._part_with_idle)

    def _idle(self, link: Link, now_s: float, idle_s: float) -> bool:
        return (
            link.usable
            and not link.busy
            and now_s - link.used_at_s >= idle_s
            and not self._policy.kept(link.node_id)
        )

    def _ask_to_part(self, link: Link) -> None:
        began_s = link.used_at_s

        def answered(reply: PeerReply) -> None:
            if isinstance(reply, Ack) and link.used_at_s == began_s and not link.busy:
                self._part(link)
                link.close("idle")
            elif isinstance(reply, Failed) and link.usable:
                link.used_at_s = asyncio.get_running_loop().time()

        link.request(Idle(), answered, PART_TIMEOUT_S)

    def _asked_to_part(self, link: Link) -> PeerReply:
        now_s = asyncio.get_running_loop().time()
        if not self._idle(link, now_s, self._idle_s / 2):
            return Failed(code="wanted", reason="the link is wanted here")
        self._part(link)
        return Ack()

    def _part(self, link: Link) -> None:
        """Take a link out of use, so that its end does not count as a crash."""
        link.parted = True
        node_id = link.node_id
        if self._links.get(node_id) is link and not self._take_spare(node_id):
            self._policy.parted(node_id)
            assert self._handler is not None
            self._handler.peer_down(node_id, "idle", False)

    def _make_room(self, node_id: bytes) -> None:
        """Break the oldest spare link of a peer that has too many. One link is enough for a
        peer."""
        spares = [link for link in self._of_peer.get(node_id, ()) if link.usable]
        if len(spares) >= LINKS_PER_PEER_MAX:
            limit_hits.hit("LINKS_PER_PEER_MAX")
            used = self._links.get(node_id)
            next(link for link in spares if link is not used).abort("too many links of one peer")

    def _forget(self, link: Link) -> None:
        of_peer = self._of_peer.get(link.node_id, {})
        of_peer.pop(link, None)
        if not of_peer:
            self._of_peer.pop(link.node_id, None)

    def _take_spare(self, node_id: bytes) -> bool:
        """Use another link to this peer instead of the present one; False if there is none."""
        for other in self._of_peer.get(node_id, ()):
            if other.usable and not other.parted:
                self._links[node_id] = other
                return True
        del self._links[node_id]
        return False

    def _incoming(self) -> Link:
        link = Link(self, outgoing=False)
        if self._stopping:
            link.refuse("stopping")
        elif len(self._open) >= LINKS_MAX:
            limit_hits.hit("LINKS_MAX")
            log.warning("refusing a link: %d are open", len(self._open))
            link.refuse("too many links")
        return link

    def _preferred(self, link: Link, current: Link) -> bool:
        """Whether `link` is preferred. Of two links, both sides choose the one that the lower id
        dialled."""
        assert link.peer is not None
        if link.peer.incarnation != current.peer_incarnation:
            return link.peer.incarnation > current.peer_incarnation
        if link.outgoing == current.outgoing:
            return True
        ours_is_lower = self._hello.node.node_id < link.node_id
        return link.outgoing == ours_is_lower

    def _greeted(self, link: Link, outcome: Hello | Exception) -> None:
        greeting = self._greeting.get(link)
        if greeting is None or greeting.done():
            return
        if isinstance(outcome, Hello):
            greeting.set_result(outcome)
        else:
            greeting.set_exception(outcome)


def _taken(_: PeerReply) -> None:
    """Ignore the reply. A peer without the key answers no datagrams, but its link has pings of its
    own."""


def hello_of(identity: Identity, node: NodeInfo, incarnation: int, software: str) -> Hello:
    """The message that this node sends first on every link."""
    return Hello(
        version_min=peer_protocol.PROTOCOL_VERSION_MIN,
        version_max=peer_protocol.PROTOCOL_VERSION,
        farm=identity.farm,
        node=node,
        incarnation=incarnation,
        capabilities=tuple(peer_protocol.Capability),
        software=software,
    )
