"""Has a phone host's sockets, timers and messages, for load that sipp cannot make.

In: messages to send, each with its time. Out: messages as they come, timers as they are due.
Counterparts: the benchmarks' `call_load.py`, `callees.py` and `register_storm.py`, whose phones
live in one process and one thread. `late_s` shows when a sender cannot keep up, so that its limit
is not taken for the farm's.
"""

import heapq
import select
import socket
import time
from collections.abc import Callable
from typing import Final

from tests.sip.message import Address, Message, encoded, parsed
from tests.sip.timers import GIVE_UP_S, T1_S, T2_S, longer

_BUFFER_BYTES: Final = 32 * 2**20
_DATAGRAM_BYTES: Final = 65_535
_AT_A_TIME: Final = 64
"""Messages that are read from one socket before timers are looked at again."""
_SO_RCVBUFFORCE: Final = 33

Received = Callable[[Message], None]
Send = Callable[[str, Address], None]


class Wire:
    """Sockets and timers."""

    def __init__(self) -> None:
        self.late_s = 0.0
        """How long after its time the latest timer was run."""
        self._poll = select.epoll()
        self._sockets: dict[int, tuple[socket.socket, Received]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def open(self, address: str, port: int, received: Received) -> Send:
        """A UDP socket; what sends on it. A message that the kernel does not take is lost, as any
        other may be."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        made.bind((address, port))
        made.setblocking(False)
        self._sockets[made.fileno()] = made, received
        self._poll.register(made, select.EPOLLIN)
        sendto = made.sendto

        def send(text: str, target: Address) -> None:
            try:
                sendto(encoded(text), target)
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
            received(parsed(data, source))


class Repeat:
    """A message that was sent, and is sent again as RFC 3261 17.1 has it until it is `answered`.

    It is one small object, as a load has tens of thousands of them: a generator and closures in its
    place gave the garbage collector 16 us of work a call, a tenth of what a call takes.
    """

    __slots__ = (
        *("_again", "_began_s", "_gave_up", "_interval_s", "_longest_s", "_to", "_wire"),
        "text",
    )

    def __init__(
        self,
        wire: Wire,
        text: str,
        to: Address,
        again: Send,
        gave_up: Callable[[], None] | None = None,
        *,
        longest_s: float = T2_S,
    ) -> None:
        self._wire, self.text, self._to = wire, text, to
        self._again, self._gave_up = again, gave_up
        self._interval_s, self._longest_s = T1_S, longest_s
        self._began_s = time.monotonic()
        wire.at(self._began_s + T1_S, self._due)

    def answered(self) -> None:
        """Send it no more."""
        self.text = ""

    def _due(self) -> None:
        if not self.text:
            return
        now_s = time.monotonic()
        if now_s > self._began_s + GIVE_UP_S:
            if self._gave_up is not None:
                self._gave_up()
            return
        self._again(self.text, self._to)
        self._interval_s = longer(self._interval_s, self._longest_s)
        self._wire.at(now_s + self._interval_s, self._due)
