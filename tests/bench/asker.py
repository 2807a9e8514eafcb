"""Asks daemons at their control sockets, as many proxy workers would, and times the answers.

In: a `Job` in JSON on stdin. Out: `Times` in JSON on stdout. Counterparts: `lookup.py` and
`durable_write.py`, which start this as a process of its own, so that the cost of asking does not
count as the farm's time; `overlay/control/server.py`.

Without a rate, each connection asks again as soon as it has an answer. That finds the capacity.
With a rate, question k is due at k/rate, whatever became of the questions before it, and its time
runs from then on. So a daemon that stalls delays every question that was due meanwhile.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import cast

import msgspec
import uvloop

from overlay.base.frames import FrameBuffer, pack
from overlay.base.limits import CONTROL_REPLY_BYTES_MAX
from overlay.control import control_codec, control_protocol, proxy_messages
from overlay.records.call import CallEvent, EventKind, event_id
from overlay.records.register import ContactChange, RegisterOutcome

_DEADLINE_MS = 5_000
_GIVE_UP_S = 60.0
_HEADER_CHARS = 300
"""What an event's texts add up to: about 400 bytes of record."""


class Question(StrEnum):
    """What is asked."""

    WRITE = "write"
    LOCATE = "locate"
    REGISTER = "register"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask, of whom, how often."""

    question: Question
    sockets: tuple[str, ...]
    connections: int
    """In all, spread evenly over the sockets; each has one question under way."""
    count: int
    names: str
    """What the subscribers or calls are called, before a number from 0 on."""
    rate: float = 0.0
    """Questions a second; 0 for as many as go."""


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """How long the answers took."""

    latencies_us: list[float]
    failed: int
    """Refused, or less than what was asked for: no targets, on one disk only."""
    seconds: float
    """From the first question to the last answer."""


def address_of_record(names: str, number: int) -> str:
    """Whom question `number` is about."""
    return f"{names}{number}@farm.test"


def questions(job: Job) -> Iterator[bytes]:
    """Each question's frame."""
    for number in range(job.count):
        yield pack(control_codec.encode(_question(job, number)))


def _question(job: Job, number: int) -> control_protocol.ControlRequest:
    aor = address_of_record(job.names, number)
    if job.question is Question.LOCATE:
        return proxy_messages.Locate(id=number, deadline_ms=_DEADLINE_MS, aor=aor)
    if job.question is Question.REGISTER:
        contact = ContactChange(uri=f"sip:{job.names}{number}@10.77.0.101", expires_s=3600)
        return proxy_messages.Register(
            id=number,
            deadline_ms=_DEADLINE_MS,
            aor=aor,
            call_id=aor,
            cseq=1,
            contacts=(contact,),
        )
    call_id = f"{job.names}{number}"
    event = CallEvent(
        kind=EventKind.START,
        event_id=event_id(EventKind.START, call_id, "a", "b"),
        call_id=call_id,
        from_tag="a",
        to_tag="b",
        time_us=time.time_ns() // 1000,
        code=200,
        request_uri=f"sip:callee@farm.test;{'x' * _HEADER_CHARS}",
    )
    return proxy_messages.WriteEvent(id=number, deadline_ms=_DEADLINE_MS, event=event)


class _Asking:
    """All questions of a job, handed to connections that are free."""

    def __init__(self, job: Job) -> None:
        self._frames = list(questions(job))
        self._rate = job.rate
        self._next = 0
        self._free: deque[_Connection] = deque()
        self._loop = asyncio.get_running_loop()
        self._began_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.done = asyncio.Event()
        self.latencies_us: list[float] = []
        self.failed = 0

    def start(self, connections: list["_Connection"]) -> None:
        self._free.extend(connections)
        self._began_s = time.perf_counter()
        self.ask()

    def ask(self) -> None:
        """Let free connections ask what is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._free and self._next < len(self._frames):
            now_s = time.perf_counter()
            due_s = self._began_s + self._next / self._rate if self._rate else now_s
            if due_s > now_s:
                self._timer = self._loop.call_later(due_s - now_s, self.ask)
                return
            self._free.popleft().ask(self._frames[self._next], due_s)
            self._next += 1

    def answered(self, connection: "_Connection", asked_s: float, answer: object) -> None:
        self.latencies_us.append((time.perf_counter() - asked_s) * 1e6)
        self.failed += not _good(answer)
        self._free.append(connection)
        if len(self.latencies_us) == len(self._frames):
            self.done.set()
        elif len(self._free) == 1:
            self.ask()


def _good(answer: object) -> bool:
    if isinstance(answer, proxy_messages.Written):
        return answer.level == "quorum"
    if isinstance(answer, proxy_messages.Registered):
        return answer.outcome is RegisterOutcome.DONE
    return isinstance(answer, proxy_messages.Located) and bool(answer.targets)


class _Connection(asyncio.Protocol):
    def __init__(self, asking: _Asking) -> None:
        self._asking = asking
        self._buffer = FrameBuffer(CONTROL_REPLY_BYTES_MAX)
        self._asked_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, frame: bytes, due_s: float) -> None:
        self._asked_s = due_s
        self._transport.write(frame)

    def data_received(self, data: bytes) -> None:
        for payload in self._buffer.feed(data):
            self._asking.answered(self, self._asked_s, control_codec.decode_answer(payload))


async def run(job: Job) -> Times:
    """Ask everything; raises `OSError` or `TimeoutError`."""
    asking = _Asking(job)
    loop = asyncio.get_running_loop()
    connections = []
    for number in range(job.connections):
        path = job.sockets[number % len(job.sockets)]
        _, connection = await loop.create_unix_connection(lambda: _Connection(asking), path)
        connections.append(connection)
    began_s = time.perf_counter()
    asking.start(connections)
    async with asyncio.timeout(_GIVE_UP_S + (job.count / job.rate if job.rate else 0)):
        await asking.done.wait()
    return Times(
        latencies_us=[round(latency, 1) for latency in asking.latencies_us],
        failed=asking.failed,
        seconds=time.perf_counter() - began_s,
    )


if __name__ == "__main__":
    told = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(run(told))))
