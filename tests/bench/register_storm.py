"""Lets many phones register all at once, as after a power cut.

In: a `StormJob` in JSON on stdin. Out: `StormTimes` in JSON on stdout. Counterpart: `overload.py`,
which starts this in the phones' namespace.

A phone repeats its REGISTER by RFC 3261 17.1.2 until it gets an answer or 32 s are over. After a
503 with Retry-After, it waits for that time. Without an answer, it waits 15 to 30 s (RFC 5626 4.5)
and begins anew. It is served when it has its 200. No phone is asked for a password.
"""

import functools
import random
import secrets
import sys
import time
from collections import Counter
from typing import Final

import msgspec

from tests.sip.message import Address, Message, new_branch, request, via
from tests.sip.wire import Repeat, Wire

_EXPIRES: Final = "Expires: 3600"


class StormJob(msgspec.Struct, frozen=True, kw_only=True):
    """Who registers, where, and how long that is watched."""

    address: str
    nodes: tuple[str, ...]
    domain: str
    names: str
    """What subscribers are called, before a number from 0 on."""
    phones: int
    contact_port: int
    port: int
    within_s: float
    """The first REGISTERs are spread evenly over so long."""
    longest_s: float
    seed: int


class StormTimes(msgspec.Struct, frozen=True, kw_only=True):
    """What became of them."""

    served_after_s: list[float]
    """Of each phone that was served, since the first REGISTER of all, in order."""
    sent: int
    resent: int
    statuses: dict[str, int]
    """Answers, by status."""
    refused_per_s_max: int
    """503s in the second that saw most of them."""
    gave_up: int
    """Transactions without an answer."""
    late_ms: float


class Phone:
    """One phone."""

    __slots__ = ("asking", "cseq", "name", "node")

    def __init__(self, name: str, node: Address) -> None:
        self.name = name
        self.node = node
        self.cseq = 0
        self.asking: Repeat | None = None
        """The REGISTER that is not answered yet."""


class Storm:
    """All phones."""

    def __init__(self, job: StormJob, wire: Wire) -> None:
        self._job = job
        self._wire = wire
        self._send = wire.open(job.address, job.port, self._received)
        self._chance = random.Random(job.seed)
        self._phones: dict[str, Phone] = {}
        self._served: list[float] = []
        self._statuses: Counter[str] = Counter()
        self._refused: Counter[int] = Counter()
        """503s, by second."""
        self._power_cut = secrets.token_hex(4)
        """A phone that was without power has a new Call-ID."""
        self._sent = self._resent = self._gave_up = 0
        for number in range(job.phones):
            name = f"{job.names}{number}"
            node = (job.nodes[number % len(job.nodes)], 5060)
            self._phones[name] = Phone(name, node)
        self._began_s = time.monotonic() + 0.2
        for number, phone in enumerate(self._phones.values()):
            self._at(self._began_s + number * job.within_s / job.phones, phone)

    def finished(self) -> bool:
        """Whether all are served, or time is over."""
        over = time.monotonic() > self._began_s + self._job.longest_s
        return over or len(self._served) == len(self._phones)

    def times(self) -> StormTimes:
        """What became of them."""
        return StormTimes(
            served_after_s=self._served,
            sent=self._sent,
            resent=self._resent,
            statuses=dict(self._statuses),
            refused_per_s_max=max(self._refused.values(), default=0),
            gave_up=self._gave_up,
            late_ms=self._wire.late_s * 1000,
        )

    def _at(self, due_s: float, phone: Phone) -> None:
        self._wire.at(due_s, lambda: self._register(phone))

    def _register(self, phone: Phone) -> None:
        job = self._job
        phone.cseq += 1
        aor = f"<sip:{phone.name}@{job.domain}>"
        text = request(
            "REGISTER",
            f"sip:{job.domain}",
            via=via("UDP", f"{job.address}:{job.port}", new_branch(), rport=False),
            sender=f"{aor};tag=t",
            receiver=aor,
            call_id=f"{phone.name}@{self._power_cut}",
            cseq=phone.cseq,
            fields=[f"Contact: <sip:{phone.name}@{job.address}:{job.contact_port}>", _EXPIRES],
        )
        self._sent += 1
        self._send(text, phone.node)
        gave_up = functools.partial(self._give_up, phone)
        phone.asking = Repeat(self._wire, text, phone.node, self._send_again, gave_up)

    def _send_again(self, text: str, node: Address) -> None:
        self._resent += 1
        self._send(text, node)

    def _give_up(self, phone: Phone) -> None:
        self._gave_up += 1
        phone.asking = None
        self._at(time.monotonic() + self._chance.uniform(15, 30), phone)

    def _received(self, message: Message) -> None:
        status = message.code
        phone = self._phones.get(message.get("Call-ID").partition("@")[0])
        if phone is None or status < 200 or phone.asking is None:
            return
        if message.get("CSeq") != f"{phone.cseq} REGISTER":
            return
        self._statuses[str(status)] += 1
        phone.asking.answered()
        phone.asking = None
        now_s = time.monotonic()
        if status == 200:
            self._served.append(now_s - self._began_s)
        else:
            self._refused[int(now_s - self._began_s)] += status == 503
            told = message.get("Retry-After")
            wait_s = int(told) if told.isdigit() else self._chance.uniform(15, 30)
            self._at(now_s + wait_s, phone)


def main() -> None:
    """Do the job."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=StormJob)
    wire = Wire()
    storm = Storm(job, wire)
    wire.run(storm.finished)
    sys.stdout.buffer.write(msgspec.json.encode(storm.times()))
    wire.close()


if __name__ == "__main__":
    main()
