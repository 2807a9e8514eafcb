"""Pings beside the links, each in a UDP packet of its own.

In: keys that peers gave, and pings to send. Out: which pings were answered. Counterparts: the same
module on every other node; `network.py` hands the keys over on the links;
`overlay.membership.prober` asks for pings.

A lost TCP segment of a link holds up all that follows it for the retransmission timeout, which is
longer than a probe may take. A lost datagram holds up nothing else.

    kind (1: ping, 2: pong) | sender's id, 20 bytes | number, 8 bytes | MAC, 16 bytes

The MAC is keyed BLAKE2b (RFC 7693). The receiver gave the key to the sender on their link, so
nobody else can have sent the packet, and nobody can send it back to its sender. A pong repeats the
number of its ping. A recorded packet that somebody sends again has only one effect: one more pong
goes to the member that sent the ping.
"""

import asyncio
import hmac
from collections.abc import Callable
from hashlib import blake2b
from typing import cast

from overlay.base import limit_hits
from overlay.base.limits import DATAGRAMS_PER_S_MAX, MEMBERS_MAX
from overlay.records.node_info import NodeInfo

KEY_BYTES = 32
_MAC_BYTES = 16
_ID = slice(1, 21)
_NUMBER = slice(21, 29)
_BODY_BYTES = 29
_PING, _PONG = b"\x01", b"\x02"


class Datagrams(asyncio.DatagramProtocol):
    """The datagrams of one node."""

    def __init__(self, own_id: bytes, secret: bytes) -> None:
        """`secret`: 32 random bytes, new at each start."""
        self._own_id = own_id
        self._secret = secret
        self._peers: dict[bytes, tuple[NodeInfo, bytes]] = {}
        """By node id: the peers that gave a key, with their addresses and the key."""
        self._waiting: dict[bytes, tuple[bytes, Callable[[], None], float]] = {}
        self._last = 0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport | None = None
        self._second = 0
        self._received = 0

    def key_for(self, node_id: bytes) -> bytes:
        """The key that this peer has to use for its datagrams to this node."""
        return blake2b(node_id, key=self._secret, digest_size=KEY_BYTES).digest()

    def learn(self, peer: NodeInfo, key: bytes) -> None:
        """Note the key that this peer wants in datagrams to it."""
        self._peers.pop(peer.node_id, None)
        if len(self._peers) >= MEMBERS_MAX:
            del self._peers[next(iter(self._peers))]
        self._peers[peer.node_id] = (peer, key)

    def ping(self, node_id: bytes, answered: Callable[[], None], timeout_s: float) -> None:
        """Send a ping. `answered` is called if the pong comes within `timeout_s`."""
        if node_id not in self._peers:
            return
        self._last += 1
        number, now_s = self._last.to_bytes(8, "big"), self._loop.time()
        self._forget_the_late(now_s)
        self._waiting[number] = (node_id, answered, now_s + timeout_s)
        self._send(node_id, _PING, number)

    def close(self) -> None:
        """Stop sending and receiving."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    # Methods of asyncio.DatagramProtocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take in a packet. A packet that no peer can have sent is ignored."""
        if self._too_many() or len(data) != _BODY_BYTES + _MAC_BYTES:
            return
        sender = data[_ID]
        if sender not in self._peers:
            return
        mac = _mac(self.key_for(sender), data[:_BODY_BYTES])
        if not hmac.compare_digest(mac, data[_BODY_BYTES:]):
            return
        if data[:1] == _PING:
            self._send(sender, _PONG, data[_NUMBER])
            return
        node_id, answered, until_s = self._waiting.get(data[_NUMBER], (b"", None, 0.0))
        if data[:1] == _PONG and node_id == sender and answered is not None:
            del self._waiting[data[_NUMBER]]
            if self._loop.time() <= until_s:
                answered()

    def error_received(self, exc: Exception) -> None:
        """Ignore that nobody listens at the peer's port: it equals a ping without an answer."""

    # inner workings

    def _forget_the_late(self, now_s: float) -> None:
        """Drop the pings whose time is over.

        Only the oldest are looked at: when a third of a farm is gone, thousands of pings wait.
        """
        while self._waiting:
            oldest = next(iter(self._waiting))
            if self._waiting[oldest][2] > now_s:
                return
            del self._waiting[oldest]

    def _send(self, node_id: bytes, kind: bytes, number: bytes) -> None:
        peer, key = self._peers[node_id]
        body = kind + self._own_id + number
        if self._transport is None:
            return
        try:
            self._transport.sendto(body + _mac(key, body), (peer.host, peer.port))
        except (OSError, ValueError):
            # There is no route, or the address is of a family that this node does not listen on.
            # The link has pings of its own.
            return

    def _too_many(self) -> bool:
        """Whether more packets come than the members send. The rest of this second then goes
        unread."""
        second = int(self._loop.time())
        if second != self._second:
            self._second, self._received = second, 0
        self._received += 1
        if self._received <= DATAGRAMS_PER_S_MAX:
            return False
        if self._received == DATAGRAMS_PER_S_MAX + 1:
            limit_hits.hit("DATAGRAMS_PER_S_MAX")
        return True


def _mac(key: bytes, body: bytes) -> bytes:
    return blake2b(body, key=key, digest_size=_MAC_BYTES).digest()
