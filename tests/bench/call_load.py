"""Makes calls at a fixed rate, whatever becomes of them, or as many as the farm takes.

In: a `CallJob` in JSON on stdin. Out: `CallTimes` in JSON on stdout. Counterparts: `overload.py`,
which starts this in the phones' namespace; `callees.py`, which answers the calls.

A call is INVITE, 200, ACK, a short talk, BYE, 200, with the timers of RFC 3261 17.1 on both sides.
A call is good when it was answered within `SETUP_MAX_S` and its BYE was answered in the window. A
caller who is refused gives up. At a fixed rate, callers who come back when Retry-After says so are
among the calls of that later moment. The window begins when the farm has had the load for a while,
and ends before the load does.
"""

import functools
import secrets
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

import msgspec
from bench.callees import Callees

from tests.sip.dialog import Dialog
from tests.sip.message import Address, Message, ack_of, new_branch, request, via
from tests.sip.timers import GIVE_UP_S
from tests.sip.wire import Repeat, Wire

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


@dataclass(slots=True)
class Call:
    """One call, as the caller has it."""

    call_id: str
    node: Address
    invite: str
    began_s: float
    asking: Repeat | None = None
    """The INVITE, and then the BYE, until it is answered."""
    ack: str = ""
    prompt: bool = False
    """It was answered within `SETUP_MAX_S`."""
    refused: bool = False
    ended: bool = False

    def answered(self) -> bool:
        """The request has its answer; whether this is the first one."""
        asking, self.asking = self.asking, None
        if asking is not None:
            asking.answered()
        return asking is not None


class Callers:
    """All callers."""

    def __init__(self, job: CallJob, wire: Wire) -> None:
        self.job = job
        self._wire = wire
        self._send = wire.open(job.address, job.caller_port, self._received)
        self._calls: dict[str, Call] = {}
        self._here = f"{job.address}:{job.caller_port}"
        self._next = 0
        self._name = secrets.token_hex(4)
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
        name = f"caller{number % job.users}"
        call_id = f"{self._name}-{number}@{job.address}"
        callee = f"sip:callee{number % job.users}@{job.domain}"
        invite = request(
            "INVITE",
            callee,
            via=self._via(),
            sender=f"<sip:{name}@{job.domain}>;tag=c{number}",
            receiver=f"<{callee}>",
            call_id=call_id,
            cseq=1,
            fields=[f"Contact: <sip:{name}@{self._here}>"],
        )
        node = (job.nodes[number % len(job.nodes)], 5060)
        call = self._calls[call_id] = Call(call_id, node, invite, time.monotonic())
        self._send(invite, node)
        gave_up = functools.partial(self._unanswered, call)
        call.asking = Repeat(
            self._wire, invite, node, self._send_again, gave_up, longest_s=GIVE_UP_S
        )

    def _via(self) -> str:
        return via("UDP", self._here, new_branch(), rport=False)

    def _send_again(self, text: str, node: Address) -> None:
        self.resent += 1
        self._send(text, node)

    def _unanswered(self, call: Call) -> None:
        self._others["none"] += 1
        self._over(call, again=True)

    def _received(self, message: Message) -> None:
        status = message.code
        call = self._calls.get(message.get("Call-ID"))
        if call is None or status < 200:
            return
        if message.get("CSeq").endswith("INVITE"):
            if status < 300:
                self._answered(call, message)
            else:
                self._declined(call, message, status)
        elif call.answered():
            self._good += self._in_window() and status == 200 and call.prompt
            if status != 200:
                self._others[f"bye {status}"] += 1
            elif not call.prompt:
                self._others["answered late"] += 1
            self._over(call, again=True)

    def _answered(self, call: Call, message: Message) -> None:
        if call.ack:
            self._send(call.ack, call.node)
            return
        now_s = time.monotonic()
        call.answered()
        call.prompt = now_s <= call.began_s + SETUP_MAX_S
        self._standing += 1
        if self._in_window():
            self._setup_us.append((now_s - call.began_s) * 1e6)
        dialog = Dialog.of_caller(message)
        call.ack = dialog.request("ACK", self._via())
        self._send(call.ack, call.node)
        hang_up = functools.partial(self._hang_up, call, dialog)
        self._wire.at(now_s + self.job.talk_s, hang_up)

    def _hang_up(self, call: Call, dialog: Dialog) -> None:
        bye = dialog.request("BYE", self._via())
        self._send(bye, call.node)
        call.asking = Repeat(self._wire, bye, call.node, self._send_again, self._bye_unanswered)

    def _bye_unanswered(self) -> None:
        self._others["bye none"] += 1

    def _declined(self, call: Call, message: Message, status: int) -> None:
        if call.ack:
            return
        self._send(ack_of(call.invite, message), call.node)
        if call.refused:
            return
        call.refused = True
        call.answered()
        if status == 503:
            self._refused += self._in_window()
        else:
            self._others[str(status)] += 1
        # Its refusal may come again.
        self._wire.at(time.monotonic() + GIVE_UP_S, functools.partial(self._over, call))
        if not self.job.rate:
            self._wire.at(time.monotonic() + _PAUSE_S, self._begin)

    def _over(self, call: Call, *, again: bool = False) -> None:
        if not call.ended:
            call.ended = True
            self._standing -= bool(call.ack)
            del self._calls[call.call_id]
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
