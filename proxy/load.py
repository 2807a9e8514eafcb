"""How far this node is behind with its work, told by what waits in its UDP sockets, and by how long
a worker of connections has had no rest.

In: a Kamailio worker's file descriptors, which are the sockets that all UDP workers read; when it
begins and ends with a message. Out: the share of new requests that is to be refused. Counterpart:
`routes/shed.py`. The kernel knows when the oldest message that no worker has taken yet came in
(SO_TIMESTAMPNS, looked at without taking it), and how full the socket's memory is (SO_MEMINFO):
that is the delay itself, whatever it comes from: too many messages, a slow disk, a daemon that
answers late, other processes on the CPU. What waits in connections is not told like that; but a
worker that had to wait for nothing between two messages had the second one waiting, and so on back
to the last time that it did wait.
"""

import os
import resource
import socket
import stat
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

LOOK_HOLDS_FOR: Final = 0.2
"""A look holds for this part of the delay that is too long: it costs two system calls a socket, and
as much as a third of the way of an INVITE."""
CALM: Final = 0.25
"""Below this part of what is too much, it holds for `CALM_FOR` of that delay: what has waited less
cannot have waited too long by then, let alone for long."""
CALM_FOR: Final = 0.4
LATE_FOR: Final = 2.0
"""For so many times the delay that is too long, messages have to wait too long before anything is
refused: what gathered while a disk or the machine stood still is served in less, if there is time
for it. A queue that stands is too much work, one that passes is not (RFC 8289 3.2). A node is no
longer late when for so long nothing has waited for a good part of that delay."""
CAUGHT_UP: Final = 0.5
"""This part."""
_PEEK: Final = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_SO_TIMESTAMPNS: Final = 35
_SO_MEMINFO: Final = 55
_TIMESPEC: Final = struct.Struct("@qq")
_MEMINFO: Final = struct.Struct("@9I")
_TIMESTAMP_BYTES: Final = socket.CMSG_SPACE(_TIMESPEC.size)
_FAMILIES: Final = socket.AF_INET, socket.AF_INET6


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """What waits in one socket."""

    delay_s: float
    """How long the oldest message has waited."""
    filled: float
    """Share of the socket's memory that is taken; at 1 the kernel drops whatever comes."""


class MessageQueue(Protocol):
    """Something that messages wait in."""

    def look(self) -> Backlog: ...


def refused_share(delay_s: float, filled: float, delay_max_s: float) -> float:
    """Which part of the new requests to refuse: none until the oldest message has waited
    `delay_max_s`, all from twice that; none until the memory is half full, all when it is full, as
    the kernel does not ask whether what it drops is a BYE."""
    late = delay_s / delay_max_s - 1.0
    full = 2.0 * filled - 1.0
    return min(1.0, max(0.0, late, full))


class UdpSocket:
    """A socket that this process shares with others; it is looked at and never read."""

    def __init__(self, shared: socket.socket) -> None:
        self.shared = shared
        shared.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def look(self) -> Backlog:
        """What waits in it now."""
        memory = self.shared.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        taken, most, *_ = _MEMINFO.unpack(memory)
        return Backlog(delay_s=self._delay_s() if taken else 0.0, filled=taken / max(1, most))

    def _delay_s(self) -> float:
        try:
            _, fields, _, _ = self.shared.recvmsg(0, _TIMESTAMP_BYTES, _PEEK)
        except BlockingIOError:
            return 0.0
        for level, kind, data in fields:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack(data)
                waited_s: float = time.time() - seconds - nanoseconds / 1e9
                return max(0.0, waited_s)
        return 0.0


def _waits() -> int:
    """How often this process has waited for something (voluntary context switches)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


class BusyPeriod:
    """How long a worker has gone from one message to the next without having to wait for one."""

    def __init__(self, clock: Callable[[], float], waits: Callable[[], int] = _waits) -> None:
        self._clock = clock
        self._waits = waits
        self._at_end = -1
        self._since_s: float | None = None

    def begin(self) -> None:
        """With a message."""
        if self._since_s is None or self._waits() != self._at_end:
            self._since_s = self._clock()

    def end(self) -> None:
        """With that message. What it waited for meanwhile is part of the work."""
        self._at_end = self._waits()

    def look(self) -> Backlog:
        """The message at hand may have waited for so long."""
        since_s = self._since_s
        return Backlog(delay_s=0.0 if since_s is None else self._clock() - since_s, filled=0.0)


def sockets_of_this_process(port: int) -> tuple[UdpSocket, ...]:
    """The UDP sockets of this process that are bound to `port`."""
    # All numbers first: that of the listing itself is free again, and would be given to a copy.
    numbers = [int(name) for name in os.listdir("/proc/self/fd") if _is_socket(int(name))]
    found = []
    for number in numbers:
        shared = socket.socket(fileno=os.dup(number))
        udp = shared.family in _FAMILIES and shared.type == socket.SOCK_DGRAM
        if udp and shared.getsockname()[1] == port:
            found.append(UdpSocket(shared))
        else:
            shared.close()
    return tuple(found)


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False


class StandingQueue:
    """Tells a queue that stands from one that passes, by how long its oldest message has waited."""

    def __init__(self, delay_max_s: float) -> None:
        self._delay_max_s = delay_max_s
        self._lasting = False
        self._turns_since_s: float | None = None
        """Since when it has been the other way."""
        self._looked_s = 0.0

    def lasts(self, delay_s: float, now_s: float) -> bool:
        """Whether messages wait too long, and not just now; the oldest one has for `delay_s`."""
        long_s = LATE_FOR * self._delay_max_s
        caught_up = delay_s < CAUGHT_UP * self._delay_max_s
        # Before the oldest one came, and after the last look, the queue may have been empty.
        empty_s = now_s - delay_s - self._looked_s
        self._looked_s = now_s
        if empty_s >= long_s:
            self._lasting, self._turns_since_s = False, None
        if self._lasting:
            turns, goes_on = caught_up, caught_up
        else:
            turns, goes_on = delay_s >= self._delay_max_s, not caught_up and empty_s <= 0.0
        if not goes_on:
            self._turns_since_s = None
        if turns and self._turns_since_s is None:
            self._turns_since_s = now_s
        if self._turns_since_s is not None and now_s - self._turns_since_s >= long_s:
            self._lasting, self._turns_since_s = not self._lasting, None
        return self._lasting


class Load:
    """The share to refuse, found out anew a few times in the delay that is too long."""

    def __init__(
        self, sockets: Sequence[MessageQueue], delay_max_s: float, clock: Callable[[], float]
    ) -> None:
        """`delay_max_s` 0: nothing is ever refused."""
        self._sockets = sockets if delay_max_s else ()
        self._delay_max_s = delay_max_s
        self._clock = clock
        self._look_at_s = 0.0
        self._lateness = StandingQueue(delay_max_s)
        self._share = 0.0

    def share(self) -> float:
        """Of new requests, the share to refuse now: 0 to 1."""
        now_s = self._clock()
        if now_s >= self._look_at_s and self._sockets:
            delay_s = filled = 0.0
            for each in self._sockets:
                look = each.look()
                delay_s, filled = max(delay_s, look.delay_s), max(filled, look.filled)
            late_s = delay_s if self._lateness.lasts(delay_s, now_s) else 0.0
            self._share = refused_share(late_s, filled, self._delay_max_s)
            calm = delay_s < CALM * self._delay_max_s and filled < CALM
            self._look_at_s = now_s + (CALM_FOR if calm else LOOK_HOLDS_FOR) * self._delay_max_s
        return self._share
