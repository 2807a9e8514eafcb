"""How far this node is behind with its work, and the share of new requests to refuse for it.

In: the file descriptors of a Kamailio worker, among them the sockets that all UDP workers read; the
beginning and end of each message. Out: the share to refuse, 0 to 1. Counterpart: `routes/shed.py`.

For UDP, the kernel tells when the oldest message came in that no worker has taken yet
(SO_TIMESTAMPNS, read without taking the message), and how full the socket's memory is (SO_MEMINFO).
So the delay itself is measured, whatever causes it: too many messages, a slow disk, a daemon that
answers late, or other processes on the CPU.

For connections, the kernel tells nothing like it. But if a worker had to wait for nothing between
two messages, then the second message had been waiting. The worker's busy period, back to the last
time that it had to wait, therefore bounds the delay.
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
"""The result of a look is used for this part of the delay that is too long. A look costs two system
calls a socket, as much as a third of what an INVITE costs in all."""
CALM: Final = 0.25
"""Below this part of the delay that is too long, the result is used for `CALM_FOR` of that delay
instead: a message that has waited less cannot have waited too long by then."""
CALM_FOR: Final = 0.4
"""See `CALM`."""
LATE_FOR: Final = 2.0
"""Nothing is refused until messages have waited too long for this many times the delay that is too
long. A burst that gathered while a disk or the machine stood still is served in less, if there is
time for it: only a standing queue means too much work (RFC 8289 3.2). The queue counts as standing
until, for as long, the oldest message has waited for less than `CAUGHT_UP` of the delay."""
CAUGHT_UP: Final = 0.5
"""See `LATE_FOR`."""
MEMORY_BYTES_ENOUGH: Final = 12 << 20
"""With less of Kamailio's shared memory free, or less than a quarter of it, new requests are
refused; all of them at two thirds of that, 8 MiB, as with less Kamailio's TLS refuses to work.
Connections leave more (`render.RESERVED_MIB`)."""
_PEEK: Final = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_SO_TIMESTAMPNS: Final = 35
_SO_MEMINFO: Final = 55
_TIMESPEC: Final = struct.Struct("@qq")
_MEMINFO: Final = struct.Struct("@9I")
_TIMESTAMP_BYTES: Final = socket.CMSG_SPACE(_TIMESPEC.size)
_FAMILIES: Final = socket.AF_INET, socket.AF_INET6


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """The messages that wait in one queue."""

    delay_s: float
    """How long the oldest message has waited."""
    filled: float
    """The part of the socket's memory that is taken; at 1 the kernel drops every message that
    comes."""


class MessageQueue(Protocol):
    """A queue in which messages wait for a worker."""

    def look(self) -> Backlog: ...


def refused_share(delay_s: float, filled: float, delay_max_s: float) -> float:
    """The part of the new requests to refuse.

    It is 0 until the oldest message has waited `delay_max_s`, and 1 from twice that on. It is also
    0 until the memory is half full, and 1 when it is full, as the kernel does not ask whether a
    message that it drops is a BYE. The larger of the two counts.
    """
    late = delay_s / delay_max_s - 1.0
    full = 2.0 * filled - 1.0
    return min(1.0, max(0.0, late, full))


class UdpSocket:
    """A socket that this process shares with others. It is looked at and never read."""

    def __init__(self, shared: socket.socket) -> None:
        self.shared = shared
        shared.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def look(self) -> Backlog:
        """The messages that wait in the socket now."""
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
    """A worker's busy period: the time for which it has gone from one message to the next without
    waiting."""

    def __init__(self, clock: Callable[[], float], waits: Callable[[], int] = _waits) -> None:
        self._clock = clock
        self._waits = waits
        self._at_end = -1
        self._since_s: float | None = None

    def begin(self) -> None:
        """A message is about to be handled."""
        if self._since_s is None or self._waits() != self._at_end:
            self._since_s = self._clock()

    def end(self) -> None:
        """That message has been handled. Whatever the worker waited for meanwhile was part of the
        work."""
        self._at_end = self._waits()

    def look(self) -> Backlog:
        """The message at hand may have waited for so long."""
        since_s = self._since_s
        return Backlog(delay_s=0.0 if since_s is None else self._clock() - since_s, filled=0.0)


class SharedMemory:
    """The memory that all processes of Kamailio share: tables, transactions and connections. It is
    no queue, but is looked at as one: what is refused while it is short leaves nothing in it."""

    def __init__(self, free_bytes: Callable[[], int], bytes_in_all: int) -> None:
        self._free_bytes = free_bytes
        self._enough = min(MEMORY_BYTES_ENOUGH, bytes_in_all // 4)

    def look(self) -> Backlog:
        """How far the memory is filled. It counts as half full while enough is free, so that
        nothing is refused, and as full when two thirds of that are left."""
        short = (self._enough - self._free_bytes()) / (self._enough - self._enough * 2 // 3)
        return Backlog(delay_s=0.0, filled=min(1.0, max(0.0, 0.5 + short / 2)))


def sockets_of_this_process(port: int) -> tuple[UdpSocket, ...]:
    """The UDP sockets of this process that are bound to `port`."""
    # The listing is read to its end first: its own descriptor is then free again, and a copy would
    # get the same number.
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
    """Tells a standing queue from a burst, by how long the oldest message has waited (RFC 8289
    3.2)."""

    def __init__(self, delay_max_s: float) -> None:
        self._delay_max_s = delay_max_s
        self._standing = False
        self._turns_since_s: float | None = None
        """Since when the messages have been waiting as they do in the other state."""
        self._looked_s = 0.0

    def stands(self, delay_s: float, now_s: float) -> bool:
        """Whether messages wait too long, and have for some time; the oldest one has waited for
        `delay_s`."""
        long_s = LATE_FOR * self._delay_max_s
        caught_up = delay_s < CAUGHT_UP * self._delay_max_s
        # The queue may have been empty between the last look and the arrival of the oldest message.
        empty_s = now_s - delay_s - self._looked_s
        self._looked_s = now_s
        if empty_s >= long_s:
            self._standing, self._turns_since_s = False, None
        if self._standing:
            turns, goes_on = caught_up, caught_up
        else:
            turns, goes_on = delay_s >= self._delay_max_s, not caught_up and empty_s <= 0.0
        if not goes_on:
            self._turns_since_s = None
        if turns and self._turns_since_s is None:
            self._turns_since_s = now_s
        if self._turns_since_s is not None and now_s - self._turns_since_s >= long_s:
            self._standing, self._turns_since_s = not self._standing, None
        return self._standing


class Load:
    """The share to refuse, found anew a few times within the delay that is too long."""

    def __init__(
        self, queues: Sequence[MessageQueue], delay_max_s: float, clock: Callable[[], float]
    ) -> None:
        """With `delay_max_s` 0 nothing is ever refused."""
        self._queues = queues if delay_max_s else ()
        self._delay_max_s = delay_max_s
        self._clock = clock
        self._look_at_s = 0.0
        self._standing_queue = StandingQueue(delay_max_s)
        self._share = 0.0

    def share(self) -> float:
        """The share of the new requests to refuse now, 0 to 1."""
        now_s = self._clock()
        if now_s >= self._look_at_s and self._queues:
            delay_s = filled = 0.0
            for each in self._queues:
                look = each.look()
                delay_s, filled = max(delay_s, look.delay_s), max(filled, look.filled)
            late_s = delay_s if self._standing_queue.stands(delay_s, now_s) else 0.0
            self._share = refused_share(late_s, filled, self._delay_max_s)
            calm = delay_s < CALM * self._delay_max_s and filled < CALM
            self._look_at_s = now_s + (CALM_FOR if calm else LOOK_HOLDS_FOR) * self._delay_max_s
        return self._share
