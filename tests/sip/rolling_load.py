"""Makes calls and registrations at a rate, by phones that find nodes by SRV, and counts failures.

In: the site of the phones, rates. Out: a `Tally`. Counterparts: `srv_sender.py`, which sends; the
callee here, which answers; `tests/farm/rolling.py`, which restarts nodes meanwhile; `tests/hosts`,
which upgrades them.
"""

import asyncio
import itertools
import random
import socket
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from tests.sip.dialog import Dialog
from tests.sip.message import Address, Message, encoded, parsed, request, response
from tests.sip.registration import Registration
from tests.sip.site import PhoneSite
from tests.sip.srv_sender import SrvSender

CALLEE_PORT: Final = 5080
EXPIRES_S: Final = 3600
_PHONE_PORT: Final = 5090
_HANG_UP_S: Final = 1.5
_END_S: Final = 90.0


@dataclass
class Tally:
    """What was asked, and what became of it."""

    prefix: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Of the Call-IDs of all calls."""
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by method, ACK apart; one that is repeated or sent elsewhere counts once."""
    asked_over: Counter[str] = field(default_factory=Counter)
    """The same by transport."""
    failed: list[str] = field(default_factory=list)
    """Those that ended otherwise than with 200, after every node was tried."""
    refusals: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """These two: see `SrvSender`."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the phones are; all may be at one place."""

    callee: PhoneSite
    callers: PhoneSite
    registering: PhoneSite


class Callee(asyncio.DatagramProtocol):
    """Answers everything with 200, from the socket's own address."""

    def __init__(self, contact: str) -> None:
        self._contact = contact
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """A request."""
        asked = parsed(data, addr)
        if asked.method in ("", "ACK"):
            return
        assert self._transport
        answer = response(asked, 200, "OK", [f"Contact: <{self._contact}>"])
        self._transport.sendto(encoded(answer), addr)


class RollingLoad:
    """Runs until `stop`; every call that has begun is then ended."""

    def __init__(
        self,
        places: Places,
        callee: str,
        users: Sequence[str],
        *,
        calls_per_s: int,
        registers_per_s: int,
        transports: Sequence[str] = ("udp",),
    ) -> None:
        self._places, self._callee = places, callee
        self._rates = {self._call: calls_per_s, self._register: registers_per_s}
        self._callers = {each: SrvSender(places.callers, each) for each in transports}
        self._registering = {each: SrvSender(places.registering, each) for each in transports}
        self._next_caller = itertools.cycle(self._callers.values())
        self._stopping = asyncio.Event()
        self._numbers = itertools.count(1)
        self.tally = Tally()
        self._phones = [
            self._phone(user, self._registering[transport])
            for user, transport in zip(users, itertools.cycle(transports), strict=False)
        ]
        self._busy: set[Registration] = set()

    async def run(self) -> Tally:
        """Ask until somebody calls `stop`, and a little longer, for what goes on."""
        loop = asyncio.get_running_loop()
        await self._register_callee(EXPIRES_S)
        plain = self._places.callee.bound_socket(socket.SOCK_DGRAM, CALLEE_PORT)
        transport, _ = await loop.create_datagram_endpoint(
            lambda: Callee(self._callee_contact), sock=plain
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                for what, rate in self._rates.items():
                    if rate:
                        tasks.create_task(self._paced(what, rate))
        finally:
            transport.close()
            for sender in (*self._callers.values(), *self._registering.values()):
                await sender.close()
                self.tally.counts += sender.counts
                self.tally.refusals += sender.refusals
        await self._register_callee(0)
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

    @property
    def _callee_contact(self) -> str:
        return f"sip:{self._callee}@{self._places.callee.address}:{CALLEE_PORT}"

    async def _register_callee(self, expires_s: int) -> None:
        """From the port that it answers at: else the farm would take it to be behind a NAT."""
        sender = SrvSender(self._places.callee, port=CALLEE_PORT)
        call_id = f"{self.tally.prefix}-callee-{expires_s}"
        try:
            answer = await Registration(sender, self._callee, self._callee_contact, call_id).ask(
                expires_s
            )
        finally:
            await sender.close()
        assert answer is not None, sender.refusals
        assert answer.code == 200, answer.first_line

    def _phone(self, user: str, sender: SrvSender) -> Registration:
        transport = "" if sender.transport == "udp" else f";transport={sender.transport}"
        contact = f"sip:{user}@{sender.site.address}:{_PHONE_PORT}{transport}"
        return Registration(sender, user, contact, f"{self.tally.prefix}-{user}")

    def _count(self, method: str, answer: Message | None, who: str, transport: str) -> bool:
        self.tally.asked[method] += 1
        self.tally.asked_over[transport] += 1
        if answer is not None and answer.code == 200:
            return True
        told = answer.first_line if answer is not None else "no node answered"
        self.tally.failed.append(f"{method} {who} {transport}: {told}")
        return False

    async def _call(self) -> None:
        callers = next(self._next_caller)
        call_id = f"{self.tally.prefix}-{next(self._numbers)}"
        own = f"sip:caller@{callers.site.address}"
        uri = f"sip:{self._callee}@{callers.site.farm}"

        def invite(via: str) -> str:
            return request(
                "INVITE",
                uri,
                via=via,
                sender=f"<{own}>;tag=caller",
                receiver=f"<{uri}>",
                call_id=call_id,
                cseq=1,
                fields=[f"Contact: <{own}:{CALLEE_PORT}>"],
            )

        answer = await callers.ask("INVITE", invite, call_id)
        if not self._count("INVITE", answer, call_id, callers.transport):
            return
        assert answer is not None
        dialog = Dialog.of_caller(answer)
        await callers.send(lambda via: dialog.request("ACK", via), call_id)
        # From short ones to those that outlast the restart of a node.
        await self._talk(random.choice((0.5, 2.0, 8.0)))
        cseq = dialog.cseq + 1
        # By another node than the INVITE, as often as not.
        bye = await callers.ask(
            "BYE", lambda via: dialog.request("BYE", via, cseq=cseq), f"{call_id} BYE"
        )
        self._count("BYE", bye, call_id, callers.transport)

    async def _talk(self, seconds: float) -> None:
        """That long; once all is to stop, no longer than people take to hang up."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
        await asyncio.sleep(random.uniform(0.0, min(seconds, _HANG_UP_S)))

    async def _register(self) -> None:
        phone = next((each for each in self._phones if each not in self._busy), None)
        if phone is None:
            self.tally.counts["no phone was free to register"] += 1
            return
        # Who registered longest ago is next.
        self._phones.remove(phone)
        self._phones.append(phone)
        self._busy.add(phone)
        try:
            answer = await phone.ask(EXPIRES_S)
            self._count("REGISTER", answer, phone.user, phone.transport)
        finally:
            self._busy.discard(phone)
