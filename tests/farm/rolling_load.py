"""Calls and registrations, so many a second, by phones that find nodes by SRV; what fails is told.

In: a lab, rates. Out: `Tally`. Counterparts: `srv_sender.py` sends; the callee here answers;
`rolling.py` restarts nodes meanwhile.
"""

import asyncio
import itertools
import random
import socket
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, cast

from deploy.lab import Lab
from overlay.records.subscriber import with_password
from proxy import digest
from tests.farm.asking import PASSWORD
from tests.farm.raw_phone import Message, socket_on
from tests.farm.srv_sender import SrvSender, parsed

CALLEE: Final = "p1"
CALLER: Final = "p2"
REGISTERING: Final = "p4"
CALLEE_PORT: Final = 5080
_ECHOED: Final = ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq")
_CHALLENGES_MAX: Final = 2
_END_S: Final = 90.0


@dataclass
class Tally:
    """What was asked, and what became of it."""

    prefix: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Of the Call-IDs of all calls."""
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by method, ACK apart; one that is repeated or sent elsewhere counts once."""
    failed: list[str] = field(default_factory=list)
    """Those that ended otherwise than with 200, after every node was tried."""
    refusals: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """These two: see `SrvSender`."""


class Callee(asyncio.DatagramProtocol):
    """Answers everything with 200, from the socket's own address."""

    def __init__(self, contact: str) -> None:
        self._contact = contact
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A request. Alike each time, as a node that asks again has not heard the answer."""
        request = parsed(data, addr)
        if request.code or request.first_line.startswith("ACK "):
            return
        lines = ["SIP/2.0 200 OK"]
        for name, value in request.fields:
            if name in _ECHOED:
                tag = ";tag=callee" if name == "To" and ";tag=" not in value else ""
                lines.append(f"{name}: {value}{tag}")
        lines += [f"Contact: <{self._contact}>", "Content-Length: 0", "", ""]
        assert self._transport
        self._transport.sendto("\r\n".join(lines).encode(), addr)


class RollingLoad:
    """Runs until `stop`; every call that has begun is then ended."""

    def __init__(
        self, lab: Lab, callee: str, users: list[str], *, calls_per_s: int, registers_per_s: int
    ) -> None:
        self._lab, self._callee, self._users = lab, callee, users
        self._rates = {self._call: calls_per_s, self._register: registers_per_s}
        self._callers = SrvSender(lab, CALLER)
        self._registering = SrvSender(lab, REGISTERING)
        self._stopping = asyncio.Event()
        self._numbers = itertools.count(1)
        self._cseqs = dict.fromkeys(users, 0)
        self._busy: set[str] = set()
        self.tally = Tally()

    async def run(self) -> Tally:
        """Ask until somebody calls `stop`, and a little longer, for what goes on."""
        loop = asyncio.get_running_loop()
        plain = socket_on(self._lab, CALLEE, socket.SOCK_DGRAM)
        plain.setblocking(False)
        address = self._lab.phone(CALLEE).address
        plain.bind((address, CALLEE_PORT))
        contact = f"sip:{self._callee}@{address}:{CALLEE_PORT}"
        transport, _ = await loop.create_datagram_endpoint(lambda: Callee(contact), sock=plain)
        senders = (self._callers, self._registering)
        try:
            for sender in senders:
                await sender.open()
            async with asyncio.TaskGroup() as tasks:
                for what, rate in self._rates.items():
                    tasks.create_task(self._paced(what, rate))
        finally:
            transport.close()
            for sender in senders:
                sender.close()
                self.tally.counts += sender.counts
                self.tally.refusals += sender.refusals
        return self.tally

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    async def _paced(self, what: Callable[[], Awaitable[None]], rate: int) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as tasks:
            for number in itertools.count():
                await asyncio.sleep(max(0.0, began_s + number / rate - loop.time()))
                if self._stopping.is_set():
                    break
                tasks.create_task(what())  # type: ignore[arg-type]
            limit.reschedule(loop.time() + _END_S)

    def _count(self, method: str, answer: Message | None, who: str) -> bool:
        self.tally.asked[method] += 1
        if answer is not None and answer.code == 200:
            return True
        told = answer.first_line if answer is not None else "no node answered"
        self.tally.failed.append(f"{method} {who}: {told}")
        return False

    async def _call(self) -> None:
        call_id = f"{self.tally.prefix}-{next(self._numbers)}"
        own = f"sip:caller@{self._callers.address}"
        uri = f"sip:{self._callee}@{self._lab.farm}"

        def text(method: str, target: str, to: str, routes: list[str], cseq: int) -> str:
            head = [f"{method} {target} SIP/2.0", "Max-Forwards: 70"]
            head += [f"Route: {', '.join(routes)}"] if routes else []
            head += [f"From: <{own}>;tag=caller", f"To: {to}", f"Call-ID: {call_id}"]
            head += [f"CSeq: {cseq} {method}", f"Contact: <{own}:5080>", "Content-Length: 0"]
            return "\r\n".join([*head, "", ""])

        answer = await self._callers.ask("INVITE", text("INVITE", uri, f"<{uri}>", [], 1), call_id)
        if not self._count("INVITE", answer, call_id):
            return
        assert answer is not None
        target = answer.get("Contact").strip("<>")
        hops = [hop.strip() for value in answer.all("Record-Route") for hop in value.split(",")]
        to, routes = answer.get("To"), hops[::-1]
        await self._callers.send(text("ACK", target, to, routes, 1), call_id)
        # From short ones to those that outlast the restart of a node.
        await asyncio.sleep(random.choice((0.5, 2.0, 8.0)))
        # By another node than the INVITE, as often as not.
        ended = text("BYE", target, to, routes, 2)
        bye = await self._callers.ask("BYE", ended, f"{call_id} BYE")
        self._count("BYE", bye, call_id)

    async def _register(self) -> None:
        user = next((each for each in self._users if each not in self._busy), "")
        if not user:
            self.tally.counts["no phone was free to register"] += 1
            return
        # Who registered longest ago is next.
        self._users.remove(user)
        self._users.append(user)
        self._busy.add(user)
        try:
            answer = await self._registered(user, "")
            # A second challenge is for who has come to another node with the first one's nonce.
            for _ in range(_CHALLENGES_MAX):
                if answer is None or answer.code != 401:
                    break
                proof = _proof(answer, user, self._lab.farm)
                answer = await self._registered(user, proof)
            self._count("REGISTER", answer, user)
        finally:
            self._busy.discard(user)

    async def _registered(self, user: str, proof: str) -> Message | None:
        self._cseqs[user] += 1
        aor = f"sip:{user}@{self._lab.farm}"
        lines = [f"REGISTER sip:{self._lab.farm} SIP/2.0", "Max-Forwards: 70"]
        lines += [f"From: <{aor}>;tag=phone", f"To: <{aor}>"]
        lines += [f"Call-ID: {self.tally.prefix}-{user}", f"CSeq: {self._cseqs[user]} REGISTER"]
        lines += [f"Contact: <sip:{user}@{self._registering.address}:5090>;expires=600"]
        lines += [f"Authorization: {proof}"] if proof else []
        text = "\r\n".join([*lines, "Content-Length: 0", "", ""])
        return await self._registering.ask("REGISTER", text, user)


def _proof(challenge: Message, user: str, farm: str) -> str:
    nonce = challenge.get("WWW-Authenticate").partition('nonce="')[2].partition('"')[0]
    text = (
        f'Digest username="{user}", realm="{farm}", nonce="{nonce}", uri="sip:{farm}", '
        f'algorithm=MD5, qop=auth, nc=00000001, cnonce="x"'
    )
    found = digest.parse(f'{text}, response="?"')
    assert found is not None
    ha1 = with_password(f"{user}@{farm}", PASSWORD, version=1).ha1
    return f'{text}, response="{digest.response(found, ha1, "REGISTER")}"'
