"""Phones that all register at once, as after a power cut.

In: a `StormJob` in JSON on stdin. Out: `StormTimes` in JSON on stdout. Counterpart: `overload.py`,
which starts this in the phones' namespace.

A phone repeats its REGISTER by RFC 3261 17.1.2 until it is answered or 32 s are over; told to come
back later (503, Retry-After), it waits as long as it was told; without an answer it waits from 15
to 30 s (RFC 5626 4.5) and begins anew. It is served when it has its 200. Nobody is asked for a
password.
"""

import random
import secrets
import sys
import time
from collections import Counter

import msgspec
from bench.sip_wire import GIVE_UP_S, T1_S, T2_S, Address, Wire, field, status_of


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

    __slots__ = ("cseq", "message", "name", "node")

    def __init__(self, name: bytes, node: Address) -> None:
        self.name = name
        self.node = node
        self.cseq = 0
        self.message = b""


class Storm:
    """All phones."""

    def __init__(self, job: StormJob, wire: Wire) -> None:
        self._job = job
        self._wire = wire
        self._send = wire.open(job.address, job.port, self._received)
        self._chance = random.Random(job.seed)
        self._phones: dict[bytes, Phone] = {}
        self._served: list[float] = []
        self._statuses: Counter[str] = Counter()
        self._refused: Counter[int] = Counter()
        """503s, by second."""
        self._power_cut = secrets.token_hex(4).encode()
        """A phone that was without power has a new Call-ID."""
        self._sent = self._resent = self._gave_up = 0
        for number in range(job.phones):
            name = f"{job.names}{number}".encode()
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
        domain, here = job.domain.encode(), job.address.encode()
        phone.message = (
            b"REGISTER sip:%b SIP/2.0\r\nVia: SIP/2.0/UDP %b:%d;branch=z9hG4bK%b.%b%d\r\n"
            b"Max-Forwards: 70\r\nFrom: <sip:%b@%b>;tag=t\r\nTo: <sip:%b@%b>\r\nCall-ID: %b@%b\r\n"
            b"CSeq: %d REGISTER\r\nContact: <sip:%b@%b:%d>\r\nExpires: 3600\r\n"
            b"Content-Length: 0\r\n\r\n"
        ) % (
            *(domain, here, job.port, phone.name, self._power_cut, phone.cseq, phone.name, domain),
            *(phone.name, domain, phone.name, self._power_cut, phone.cseq),
            *(phone.name, here, job.contact_port),
        )
        self._sent += 1
        self._send(phone.message, phone.node)
        self._repeat(phone, phone.cseq, T1_S, time.monotonic())

    def _repeat(self, phone: Phone, cseq: int, interval_s: float, began_s: float) -> None:
        def again() -> None:
            if phone.cseq != cseq or not phone.message:
                return
            now_s = time.monotonic()
            if now_s > began_s + GIVE_UP_S:
                self._gave_up += 1
                phone.message = b""
                self._at(now_s + self._chance.uniform(15, 30), phone)
                return
            self._resent += 1
            self._send(phone.message, phone.node)
            self._repeat(phone, cseq, min(2 * interval_s, T2_S), began_s)

        self._wire.at(time.monotonic() + interval_s, again)

    def _received(self, message: bytes, _source: Address) -> None:
        status = status_of(message)
        phone = self._phones.get(field(message, b"Call-ID").partition(b"@")[0])
        if phone is None or status < 200 or not phone.message:
            return
        if field(message, b"CSeq") != b"%d REGISTER" % phone.cseq:
            return
        self._statuses[str(status)] += 1
        phone.message = b""
        now_s = time.monotonic()
        if status == 200:
            self._served.append(now_s - self._began_s)
        else:
            self._refused[int(now_s - self._began_s)] += status == 503
            told = field(message, b"Retry-After")
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
