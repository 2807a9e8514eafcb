"""Requests sent as RFC 3263 asks of a phone: to a node that SRV names, and to the next if it fails.

In: the text of a request but its Via, its method. Out: the final answer, or None if no node gave
one; how often another node had to be taken. Counterparts: the nodes; `rolling_load.py`.
"""

import asyncio
import itertools
import random
import socket
import time
import uuid
from collections import Counter
from typing import Final, cast

import dns.message
import dns.rdatatype

from deploy.lab import Lab
from tests.farm.raw_phone import SIP_PORT, Message, socket_on

_REPEAT_S: Final = 0.5
_REPEAT_MAX_S: Final = 4.0
_ATTEMPT_S: Final = 4.0
"""How long one node that is silent is tried; 32 s by RFC 3261, which no caller waits for."""
_PENDING_S: Final = 32.0
_DNS_PORT: Final = 53
_DNS_S: Final = 1.0
_TELLING: Final = ("Retry-After", "Warning")
_DATAGRAM: Final = 65_535


class NoNode(Exception):
    """Nothing listens at the node: the network said so."""


class Link(asyncio.DatagramProtocol):
    """What is sent to one node, and its answers by branch."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Queue[Message | NoNode]] = {}
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """An answer; those that nobody waits for any more are let go."""
        message = parsed(data, addr)
        branch = message.get("Via").partition("branch=")[2].partition(";")[0]
        if branch in self.waiting:
            self.waiting[branch].put_nowait(message)

    def error_received(self, exc: Exception) -> None:
        """ICMP does not say which request it was about."""
        for each in self.waiting.values():
            each.put_nowait(NoNode())

    def send(self, text: str) -> None:
        """Send a message."""
        assert self.transport
        self.transport.sendto(text.encode())


class SrvSender:
    """One socket a node; `open` before use, `close` after."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._lab, self._host = lab, host
        self.address = lab.phone(host).address
        self._links: dict[str, Link] = {}
        self._names: list[str] = []
        self._known_until_s = 0.0
        self._asking = asyncio.Lock()
        self._kept: dict[str, str] = {}
        self.refusals: list[str] = []
        """What each node said to requests that none of them answered."""
        self.counts: Counter[str] = Counter()
        """`moved`: requests that another node had to be taken for; `repeated`: datagrams;
        `asked`: questions to DNS."""

    async def open(self) -> None:
        """Open the sockets."""
        loop = asyncio.get_running_loop()
        for node in self._lab.nodes:
            plain = socket_on(self._lab, self._host, socket.SOCK_DGRAM)
            plain.setblocking(False)
            plain.bind((self.address, 0))
            plain.connect((node.address, SIP_PORT))
            _, link = await loop.create_datagram_endpoint(Link, sock=plain)
            self._links[node.name] = link

    def close(self) -> None:
        """Close the sockets."""
        for link in self._links.values():
            if link.transport:
                link.transport.close()

    async def ask(self, method: str, text: str, keeps_to: str) -> Message | None:
        """The final answer of the first node that gives one which is no 503 (RFC 3263 4.3).

        What `keeps_to` the same word is sent to the same node, as long as that one answers.
        """
        names = await self._order(keeps_to)
        said = []
        for number, name in enumerate(names):
            answer = await self._attempt(self._links[name], method, text)
            if isinstance(answer, Message) and answer.code != 503:
                self.counts["moved"] += number > 0
                self._kept[keeps_to] = name
                return answer
            said.append(f"{name}: {answer if isinstance(answer, str) else _told(answer)}")
        self.refusals.append(f"{method} {keeps_to}: {'; '.join(said)}")
        return None

    async def send(self, text: str, keeps_to: str) -> None:
        """Send an ACK: nothing answers it."""
        link = self._links[(await self._order(keeps_to))[0]]
        link.send(self._with_via(link, text, _branch()))

    async def _attempt(self, link: Link, method: str, text: str) -> Message | str:
        branch = _branch()
        whole = self._with_via(link, text, branch)
        queue = link.waiting[branch] = asyncio.Queue[Message | NoNode]()
        repeat_s, until_s = _REPEAT_S, time.monotonic() + _ATTEMPT_S
        link.send(whole)
        pending = False
        try:
            while (left_s := until_s - time.monotonic()) > 0:
                wait_s = left_s if pending and method == "INVITE" else min(left_s, repeat_s)
                try:
                    async with asyncio.timeout(wait_s):
                        told = await queue.get()
                except TimeoutError:
                    if time.monotonic() < until_s:
                        self.counts["repeated"] += 1
                        repeat_s = min(repeat_s * 2, _REPEAT_MAX_S)
                        link.send(whole)
                    continue
                if isinstance(told, NoNode):
                    return "nothing listens"
                if told.code >= 200:
                    return told
                pending, until_s = True, time.monotonic() + _PENDING_S
            return "silence"
        finally:
            del link.waiting[branch]

    def _with_via(self, link: Link, text: str, branch: str) -> str:
        assert link.transport
        port = link.transport.get_extra_info("sockname")[1]
        first, _, rest = text.partition("\r\n")
        via = f"Via: SIP/2.0/UDP {self.address}:{port};branch={branch};rport"
        return f"{first}\r\n{via}\r\n{rest}"

    async def _order(self, keeps_to: str) -> list[str]:
        """The nodes in the order that a request tries them; asks DNS again after the TTL."""
        if time.monotonic() > self._known_until_s and not (self._names and self._asking.locked()):
            async with self._asking:
                if time.monotonic() > self._known_until_s:
                    self._names, ttl_s = await self._found_in_dns()
                    self._known_until_s = time.monotonic() + ttl_s
        order = random.Random(keeps_to).sample(self._names, len(self._names))
        return sorted(order, key=lambda name: name != self._kept.get(keeps_to))

    async def _found_in_dns(self) -> tuple[list[str], float]:
        loop = asyncio.get_running_loop()
        question = dns.message.make_query(f"_sip._udp.{self._lab.farm}", "SRV")
        for node in itertools.cycle(self._lab.nodes):
            self.counts["asked"] += 1
            with socket_on(self._lab, self._host, socket.SOCK_DGRAM) as plain:
                plain.setblocking(False)
                try:
                    async with asyncio.timeout(_DNS_S):
                        await loop.sock_connect(plain, (node.address, _DNS_PORT))
                        await loop.sock_sendall(plain, question.to_wire())
                        answer = dns.message.from_wire(await loop.sock_recv(plain, _DATAGRAM))
                except (TimeoutError, OSError):
                    continue
            found = [each for each in answer.answer if each.rdtype == dns.rdatatype.SRV]
            if found:
                names = [str(each.target).partition(".")[0] for each in found[0]]
                return sorted(names), float(found[0].ttl)
        raise AssertionError("unreachable: the nodes are asked over and over")


def parsed(data: bytes, source: tuple[str, int]) -> Message:
    """A message's first line and header."""
    first, *lines = data.decode(errors="surrogateescape").partition("\r\n\r\n")[0].split("\r\n")
    pairs = (line.partition(":") for line in lines)
    fields = tuple((name.strip(), value.strip()) for name, _, value in pairs)
    return Message(first, fields, source)


def _told(answer: Message) -> str:
    more = [f"{name}: {value}" for name, value in answer.fields if name in _TELLING]
    return " ".join([answer.first_line, *more])


def _branch() -> str:
    return f"z9hG4bK{uuid.uuid4().hex}"
