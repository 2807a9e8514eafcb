"""A phone host's sockets, timers and messages, for load that sipp does not make.

In: what to send, and when. Out: messages as they come, timers as they are due. Counterparts:
`call_load.py` and `register_storm.py`, whose phones live in one process and one thread: a sender
that cannot keep up sees it in `late_s`, so that its own limit is never taken for the farm's.
"""

import heapq
import select
import socket
import time
from collections.abc import Callable
from typing import Final

T1_S: Final = 0.5
T2_S: Final = 4.0
GIVE_UP_S: Final = 64 * T1_S
"""RFC 3261 17.1.1.1: T1, T2; timers B, F and H."""
_BUFFER_BYTES: Final = 32 * 2**20
_DATAGRAM_BYTES: Final = 65_535
_AT_A_TIME: Final = 64
"""Messages that are read from one socket before timers are looked at again."""
_SO_RCVBUFFORCE: Final = 33

Address = tuple[str, int]
Received = Callable[[bytes, Address], None]


class Wire:
    """Sockets and timers."""

    def __init__(self) -> None:
        self.late_s = 0.0
        """How long after its time the latest timer was run."""
        self._poll = select.epoll()
        self._sockets: dict[int, tuple[socket.socket, Received]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def open(self, address: str, port: int, received: Received) -> Callable[[bytes, Address], None]:
        """A UDP socket; what sends on it. A message that the kernel does not take is lost, as any
        other may be."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        made.bind((address, port))
        made.setblocking(False)
        self._sockets[made.fileno()] = made, received
        self._poll.register(made, select.EPOLLIN)
        sendto = made.sendto

        def send(data: bytes, target: Address) -> None:
            try:
                sendto(data, target)
            except OSError:
                return

        return send

    def at(self, due_s: float, work: Callable[[], None]) -> None:
        """Do it then, on the clock of `time.monotonic`."""
        self._count += 1
        heapq.heappush(self._timers, (due_s, self._count, work))

    def run(self, until: Callable[[], bool]) -> None:
        """Until the condition holds, which is looked at after every turn."""
        timers, clock = self._timers, time.monotonic
        while not until():
            now_s = clock()
            for _ in range(_AT_A_TIME):
                if not timers or timers[0][0] > now_s:
                    break
                due_s, _, work = heapq.heappop(timers)
                self.late_s = max(self.late_s, now_s - due_s)
                work()
            wait_s = min(0.05, max(0.0, timers[0][0] - clock())) if timers else 0.05
            for number, _ in self._poll.poll(wait_s):
                self._read(*self._sockets[number])

    def close(self) -> None:
        """Close all sockets."""
        for made, _ in self._sockets.values():
            made.close()
        self._poll.close()

    def _read(self, made: socket.socket, received: Received) -> None:
        for _ in range(_AT_A_TIME):
            try:
                data, source = made.recvfrom(_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            received(data, source)


def status_of(message: bytes) -> int:
    """Of a response; 0 of a request."""
    return int(message[8:11]) if message.startswith(b"SIP/2.0 ") else 0


def field(message: bytes, name: bytes) -> bytes:
    """The first header field of this name, spelled so; empty if there is none."""
    begin = message.find(b"\r\n" + name + b": ")
    if begin < 0:
        return b""
    begin += len(name) + 4
    return message[begin : message.index(b"\r\n", begin)]


def fields(message: bytes, name: bytes) -> list[bytes]:
    """All header fields of this name, whole lines."""
    head = message.partition(b"\r\n\r\n")[0]
    return [line for line in head.split(b"\r\n") if line.startswith(name + b": ")]


def uri_of(value: bytes) -> bytes:
    """What stands in angle brackets."""
    return value.partition(b"<")[2].partition(b">")[0]


def answer(request: bytes, status: bytes, tag: bytes, more: bytes = b"") -> bytes:
    """A response to a request (RFC 3261 8.2.6); `more`: whole header fields."""
    copied = [
        *fields(request, b"Via"),
        *fields(request, b"Record-Route"),
        *fields(request, b"From"),
    ]
    to = field(request, b"To")
    if b";tag=" not in to:
        to += b";tag=" + tag
    copied += [b"To: " + to, *fields(request, b"Call-ID"), *fields(request, b"CSeq")]
    head = b"\r\n".join((b"SIP/2.0 " + status, *copied))
    return head + b"\r\n" + more + b"Content-Length: 0\r\n\r\n"
