"""Calls at a fixed rate, whatever becomes of them, or as many as go.

In: a `CallJob` in JSON on stdin. Out: a `CallTimes` in JSON on stdout. Counterpart: `overload.py`,
which starts this in the phones' namespace; `callees.py` answers.

A call is INVITE, 200, ACK, a short talk, BYE, 200, with the timers of RFC 3261 17.1 on both sides.
It is good when it was answered within `SETUP_MAX_S` and its BYE was answered in the window. Who is
refused gives up: at a fixed rate, whoever comes back when Retry-After says so is one of those who
come then. The window begins when the farm has had the load for a while, and ends before the load
does.
"""

import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec
from bench.callees import Callees
from bench.sip_wire import (
    GIVE_UP_S,
    T1_S,
    T2_S,
    Address,
    Wire,
    field,
    fields,
    status_of,
    uri_of,
)

SETUP_MAX_S: Final = 2.0
"""Whoever waits longer for an answer takes the farm for dead: not a good call."""
_PAUSE_S = 0.05
"""How long somebody who calls without a rate waits after a refusal."""
_END_S = 12.0
"""How long calls that stand may take to end after the window."""


class CallJob(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, and for how long."""

    address: str
    """The phones' own."""
    nodes: tuple[str, ...]
    """Addresses that take the calls, in turn."""
    domain: str
    users: int
    """`callee0` and so on are called in turn."""
    callee_port: int
    caller_port: int
    rate: float
    """Calls a second; 0: `callers` call again and again."""
    callers: int
    warm_up_s: float
    seconds: float
    """Of the window."""
    talk_s: float


class CallTimes(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the calls."""

    good_per_s: float
    """Answered in time, and ended in the window."""
    offered_per_s: float
    """Begun in the window."""
    refused_per_s: float
    """503s in the window."""
    others: dict[str, int]
    """Other outcomes, of all calls, by final answer; `none` for no answer to an INVITE."""
    broken: int
    """Calls that stood and could not be ended."""
    setup_us: list[float]
    """From the first INVITE to the 200, of calls answered in the window."""
    late_ms: float
    """The sender's own lateness."""
    resent: int


class Call:
    """One call, as the caller has it."""

    __slots__ = ("ack", "began_s", "bye", "ended", "invite", "node", "number", "prompt", "refusal")

    def __init__(self, number: int, node: Address, invite: bytes, began_s: float) -> None:
        self.number = number
        self.node = node
        self.invite = invite
        self.began_s = began_s
        self.ack = b""
        self.refusal = b""
        self.bye = b""
        self.prompt = False
        """It was answered within `SETUP_MAX_S`."""
        self.ended = False


class Callers:
    """All callers."""

    def __init__(self, job: CallJob, wire: Wire) -> None:
        self.job = job
        self._wire = wire
        self._send = wire.open(job.address, job.caller_port, self._received)
        self._calls: dict[bytes, Call] = {}
        self._next = 0
        self._name = secrets.token_hex(4).encode()
        """No two runs have a call in common, or the second one's would be on record already."""
        self._offering = True
        began_s = time.monotonic() + 0.1
        self._window = (began_s + job.warm_up_s, began_s + job.warm_up_s + job.seconds)
        self._good = self._offered = self._refused = 0
        self._others: Counter[str] = Counter()
        self.resent = 0
        self._standing = 0
        """Calls that were answered and have not ended."""
        self._setup_us: list[float] = []
        if job.rate:
            wire.at(began_s, self._offer)
            self._first_s = began_s
        else:
            for caller in range(job.callers):
                wire.at(began_s + caller * job.talk_s / job.callers, self._begin)

    def finished(self) -> bool:
        """Whether the window is over, and so are the calls."""
        now_s = time.monotonic()
        if now_s < self._window[1]:
            return False
        self._offering = False
        return now_s > self._window[1] + _END_S or not self._standing

    def times(self) -> CallTimes:
        """What became of them."""
        seconds = self.job.seconds
        return CallTimes(
            good_per_s=self._good / seconds,
            offered_per_s=self._offered / seconds,
            refused_per_s=self._refused / seconds,
            others=dict(self._others),
            broken=self._standing,
            setup_us=self._setup_us,
            late_ms=self._wire.late_s * 1000,
            resent=self.resent,
        )

    def _in_window(self) -> bool:
        return self._window[0] <= time.monotonic() < self._window[1]

    def _offer(self) -> None:
        """Calls that are due, each at its own time."""
        if not self._offering:
            return
        self._begin()
        self._wire.at(self._first_s + self._next / self.job.rate, self._offer)

    def _begin(self) -> None:
        if not self._offering:
            return
        job, number = self.job, self._next
        self._next += 1
        self._offered += self._in_window()
        name = b"caller%d" % (number % job.users)
        call_id = b"%b-%d@%b" % (self._name, number, job.address.encode())
        callee = b"sip:callee%d@%b" % (number % job.users, job.domain.encode())
        here = b"%b:%d" % (job.address.encode(), job.caller_port)
        domain = job.domain.encode()
        invite = (
            b"INVITE %b SIP/2.0\r\nVia: SIP/2.0/UDP %b;branch=z9hG4bKi%b%d\r\nMax-Forwards: 70\r\n"
            b"From: <sip:%b@%b>;tag=c%d\r\nTo: <%b>\r\nCall-ID: %b\r\nCSeq: 1 INVITE\r\n"
            b"Contact: <sip:%b@%b>\r\nContent-Length: 0\r\n\r\n"
        ) % (
            *(callee, here, self._name, number, name, domain, number, callee, call_id),
            *(name, here),
        )
        node = (job.nodes[number % len(job.nodes)], 5060)
        call = self._calls[call_id] = Call(number, node, invite, time.monotonic())
        self._repeat(call, lambda: call.invite, T1_S, call.began_s, call_id)
        self._send(invite, node)

    def _repeat(
        self,
        call: Call,
        message: Callable[[], bytes],
        interval_s: float,
        began_s: float,
        call_id: bytes,
        longest_s: float = GIVE_UP_S,
    ) -> None:
        """Send it again until it is answered, which empties it."""

        def again() -> None:
            nonlocal interval_s
            if not message():
                return
            now_s = time.monotonic()
            if now_s > began_s + GIVE_UP_S:
                self._others["none" if not call.ack else "bye none"] += 1
                if not call.ack:
                    self._over(call_id, call, again=True)
                return
            self.resent += 1
            self._send(message(), call.node)
            interval_s = min(2 * interval_s, longest_s)
            self._wire.at(now_s + interval_s, again)

        self._wire.at(time.monotonic() + interval_s, again)

    def _received(self, message: bytes, _source: Address) -> None:
        status, call_id = status_of(message), field(message, b"Call-ID")
        call = self._calls.get(call_id)
        if call is None or status < 200:
            return
        if field(message, b"CSeq").endswith(b"INVITE"):
            if status < 300:
                self._answered(call_id, call, message)
            else:
                self._declined(call_id, call, message, status)
        elif call.bye:
            call.bye = b""
            self._good += self._in_window() and status == 200 and call.prompt
            if status != 200:
                self._others[f"bye {status}"] += 1
            elif not call.prompt:
                self._others["answered late"] += 1
            self._over(call_id, call, again=True)

    def _answered(self, call_id: bytes, call: Call, message: bytes) -> None:
        if call.ack:
            self._send(call.ack, call.node)
            return
        now_s = time.monotonic()
        call.invite = b""
        call.prompt = now_s <= call.began_s + SETUP_MAX_S
        self._standing += 1
        if self._in_window():
            self._setup_us.append((now_s - call.began_s) * 1e6)
        routes = b"".join(
            b"Route: " + line.partition(b": ")[2] + b"\r\n"
            for line in reversed(fields(message, b"Record-Route"))
        )
        target = uri_of(field(message, b"Contact"))
        here = b"%b:%d" % (self.job.address.encode(), self.job.caller_port)

        def request(method: bytes, cseq: int) -> bytes:
            sender, receiver = fields(message, b"From")[0], field(message, b"To")
            via = b"Via: SIP/2.0/UDP %b;branch=z9hG4bK%b%b%d\r\nMax-Forwards: 70\r\n" % (
                *(here, method[:1].lower(), self._name, call.number),
            )
            return b"%b %b SIP/2.0\r\n%b%b%b\r\nTo: %b\r\nCall-ID: %b\r\nCSeq: %d %b\r\n%b" % (
                *(method, target, via, routes, sender, receiver, call_id, cseq, method),
                b"Content-Length: 0\r\n\r\n",
            )

        call.ack = request(b"ACK", 1)
        self._send(call.ack, call.node)

        def hang_up() -> None:
            call.bye = request(b"BYE", 2)
            self._send(call.bye, call.node)
            self._repeat(call, lambda: call.bye, T1_S, time.monotonic(), call_id, T2_S)

        self._wire.at(now_s + self.job.talk_s, hang_up)

    def _declined(self, call_id: bytes, call: Call, message: bytes, status: int) -> None:
        invite = call.invite or call.refusal
        if not invite:
            return
        head = invite.partition(b"\r\n")[2]
        via, sender = fields(b"\r\n" + head, b"Via")[0], fields(b"\r\n" + head, b"From")[0]
        target = invite.split(b" ", 2)[1]
        ack = b"ACK %b SIP/2.0\r\n%b\r\nMax-Forwards: 70\r\n%b\r\nTo: %b\r\nCall-ID: %b\r\n" % (
            *(target, via, sender, field(message, b"To"), call_id),
        )
        self._send(ack + b"CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n", call.node)
        if not call.invite:
            return
        call.refusal, call.invite = call.invite, b""
        if status == 503:
            self._refused += self._in_window()
        else:
            self._others[str(status)] += 1
        # Its refusal may come again.
        self._wire.at(time.monotonic() + GIVE_UP_S, lambda: self._over(call_id, call))
        if not self.job.rate:
            self._wire.at(time.monotonic() + _PAUSE_S, self._begin)

    def _over(self, call_id: bytes, call: Call, *, again: bool = False) -> None:
        if not call.ended:
            call.ended = True
            self._standing -= bool(call.ack)
            del self._calls[call_id]
            if again and not self.job.rate:
                self._begin()


def main() -> None:
    """Do the job."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=CallJob)
    wire = Wire()
    Callees(job.address, job.callee_port, wire)
    callers = Callers(job, wire)
    wire.run(callers.finished)
    sys.stdout.buffer.write(msgspec.json.encode(callers.times()))
    wire.close()


if __name__ == "__main__":
    main()
