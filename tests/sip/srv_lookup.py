"""Finds the nodes that a phone may send to, by DNS (RFC 3263 4.2).

In: a transport. Out: targets, which are asked for again when the answer's TTL is over.
Counterparts: the nodes' PowerDNS; `srv_sender.py`.
"""

import asyncio
import itertools
import socket
import time
from dataclasses import dataclass
from typing import Final, cast

import dns.message
import dns.rdatatype
import dns.rdtypes.IN.A
import dns.rdtypes.IN.SRV

from tests.sip.site import PhoneSite

SERVICES: Final = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
_DNS_PORT: Final = 53
_WITHIN_S: Final = 1.0
_DATAGRAM: Final = 65_535


@dataclass(frozen=True, order=True)
class Target:
    """A node's port for a transport."""

    name: str
    address: str
    port: int


class SrvLookup:
    """What one phone knows of the farm's SRV records for a transport."""

    def __init__(self, site: PhoneSite, transport: str) -> None:
        self._site, self._service = site, SERVICES[transport]
        self._targets: list[Target] = []
        self._known_until_s = 0.0
        self._asking = asyncio.Lock()
        self._servers = itertools.cycle(site.name_servers)
        self._server = next(self._servers)
        self.asked = 0
        """Questions."""

    async def targets(self) -> list[Target]:
        """The nodes in service. While one request asks again, the others use what was known."""
        if time.monotonic() > self._known_until_s and not (self._targets and self._asking.locked()):
            async with self._asking:
                if time.monotonic() > self._known_until_s:
                    self._targets, ttl_s = await self._look_up()
                    self._known_until_s = time.monotonic() + ttl_s
        return self._targets

    async def _look_up(self) -> tuple[list[Target], float]:
        while True:
            answer = await self._ask(f"{self._service}.{self._site.farm}", "SRV")
            records = [each for each in answer.answer if each.rdtype == dns.rdatatype.SRV]
            if not records:
                self._server = next(self._servers)
                continue
            found = []
            for record in records[0]:
                srv = cast(dns.rdtypes.IN.SRV.SRV, record)
                addresses = await self._addresses(answer, srv.target.to_text(omit_final_dot=True))
                name = srv.target.labels[0].decode()
                found += [Target(name, address, srv.port) for address in addresses[:1]]
            return sorted(found), float(records[0].ttl)

    async def _addresses(self, answer: dns.message.Message, name: str) -> list[str]:
        """The addresses of a node: most servers tell them with its name (RFC 2782)."""
        told = [each for each in answer.additional if each.name.to_text(True) == name]
        sets = told or (await self._ask(name, "A")).answer
        return [
            cast(dns.rdtypes.IN.A.A, record).address
            for each in sets
            if each.rdtype == dns.rdatatype.A
            for record in each
        ]

    async def _ask(self, name: str, kind: str) -> dns.message.Message:
        """The answer of the first server that gives one; they are asked over and over."""
        loop = asyncio.get_running_loop()
        question = dns.message.make_query(name, kind)
        while True:
            self.asked += 1
            with self._site.bound_socket(socket.SOCK_DGRAM) as plain:
                try:
                    async with asyncio.timeout(_WITHIN_S):
                        await loop.sock_connect(plain, (self._server, _DNS_PORT))
                        await loop.sock_sendall(plain, question.to_wire())
                        return dns.message.from_wire(await loop.sock_recv(plain, _DATAGRAM))
                except (TimeoutError, OSError):
                    self._server = next(self._servers)
