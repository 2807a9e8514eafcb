"""How far a node is behind, and which share it refuses for that."""

import socket
import time

import pytest

from proxy.load import (
    CALM,
    CALM_FOR,
    CAUGHT_UP,
    LATE_FOR,
    LOOK_HOLDS_FOR,
    Backlog,
    BusyPeriod,
    Load,
    SharedMemory,
    UdpSocket,
    refused_share,
    sockets_of_this_process,
)
from tests.unit.proxy.conftest import Clock


@pytest.mark.parametrize(
    ("delay_s", "filled", "share"),
    [
        (0.0, 0.0, 0.0),
        (0.1, 0.0, 0.0),
        (0.15, 0.0, 0.5),
        (0.2, 0.0, 1.0),
        (9.0, 0.0, 1.0),
        (0.0, 0.5, 0.0),
        (0.0, 0.75, 0.5),
        (0.0, 1.2, 1.0),
        (0.15, 0.9, 0.8),
    ],
)
def test_the_further_behind_the_more_is_refused(
    delay_s: float, filled: float, share: float
) -> None:
    assert refused_share(delay_s, filled, 0.1) == pytest.approx(share)


@pytest.mark.parametrize(
    ("mib_in_all", "mib_free", "share"),
    [
        (256, 200.0, 0.0),
        (256, 12.0, 0.0),
        (256, 10.0, 0.5),
        (256, 8.0, 1.0),
        (256, 0.0, 1.0),
        (16, 4.0, 0.0),
        (16, 2.6, 1.0),
    ],
)
def test_shared_memory_that_runs_short(mib_in_all: int, mib_free: float, share: float) -> None:
    memory = SharedMemory(lambda: int(mib_free * (1 << 20)), mib_in_all << 20)
    assert refused_share(0.0, memory.look().filled, 0.1) == pytest.approx(share, abs=0.01)


def test_the_kernel_tells_how_long_the_oldest_has_waited() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        bound.bind(("127.0.0.1", 0))
        (found,) = sockets_of_this_process(bound.getsockname()[1])
        assert found.look() == Backlog(delay_s=0.0, filled=0.0)
        sender.sendto(b"first", bound.getsockname())
        deadline_s = time.monotonic() + 5
        while found.look().delay_s < 0.02:
            assert time.monotonic() < deadline_s
        sender.sendto(b"second" * 100, bound.getsockname())
        look = found.look()
        assert 0.02 <= look.delay_s < 5
        assert 0.0 < look.filled < 0.5
        found.shared.close()
        assert bound.recv(100) == b"first", "a look takes nothing away"


LOOK_S = LOOK_HOLDS_FOR * 0.1
"""Of a node with a delay of 100 ms."""


class Counted:
    """Says what a test wants, and counts how often it was looked at."""

    def __init__(self, delay_s: float = 0.15, filled: float = 0.0) -> None:
        self.looks = 0
        self.delay_s, self.filled = delay_s, filled

    def look(self) -> Backlog:
        self.looks += 1
        return Backlog(delay_s=self.delay_s, filled=self.filled)


def shares(load: Load, clock: Clock, seconds: float) -> list[float]:
    """What a worker that is always busy is told meanwhile."""
    told, until_s = [], clock.now_s + seconds
    while clock.now_s < until_s:
        told.append(load.share())
        clock.now_s += LOOK_S
    return told


def test_a_look_holds_for_a_while(clock: Clock) -> None:
    waiting = Counted(0.0, 0.75)
    load = Load([waiting], 0.1, clock)
    assert [load.share() for _ in range(9)] == [pytest.approx(0.5)] * 9
    assert waiting.looks == 1
    clock.now_s += LOOK_S
    load.share()
    assert waiting.looks == 2


def test_only_a_queue_that_stands_is_refused(clock: Clock) -> None:
    waiting = Counted(0.15)
    load = Load([waiting], 0.1, clock)
    assert not any(shares(load, clock, LATE_FOR * 0.1 - LOOK_S))
    clock.now_s += LOOK_S
    assert all(share == pytest.approx(0.5) for share in shares(load, clock, 1.0))
    # The more it refuses, the less there is that waits.
    waiting.delay_s = 0.99 * CAUGHT_UP * 0.1
    assert not any(shares(load, clock, 0.9 * LATE_FOR * 0.1))
    waiting.delay_s = 0.12
    assert load.share() == pytest.approx(0.2), "it is late yet"
    clock.now_s += LOOK_S
    waiting.delay_s = 0.99 * CAUGHT_UP * 0.1
    assert not any(shares(load, clock, 1.1 * LATE_FOR * 0.1))
    waiting.delay_s = 0.15
    assert not any(shares(load, clock, LATE_FOR * 0.1 - LOOK_S)), "it was not any more"
    clock.now_s += LOOK_S
    assert load.share()


def test_what_gathered_in_a_standstill_is_served_however_long_it_was(clock: Clock) -> None:
    waiting = Counted(0.0)
    load = Load([waiting], 0.1, clock)
    for standstill_s in (0.3, 10.0, 0.3):
        assert not load.share()
        clock.now_s += standstill_s
        waiting.delay_s = standstill_s
        while waiting.delay_s > 0.0:
            assert not load.share()
            clock.now_s += 0.9 * LATE_FOR * 0.1 / 20
            waiting.delay_s -= standstill_s / 20
        waiting.delay_s = 0.0


def test_two_standstills_are_no_queue(clock: Clock) -> None:
    """Of a worker that is asked for nothing in between."""
    waiting = Counted(0.15)
    load = Load([waiting], 0.1, clock)
    for pause_s in (5.0, 0.151):
        assert not load.share()
        clock.now_s += pause_s
    assert any(shares(load, clock, 1.0))
    clock.now_s += 5.0
    assert not load.share(), "nor is one after a queue that stood long ago"


def test_a_worker_that_is_held_up_by_each_message_knows_that_the_queue_stands(
    clock: Clock,
) -> None:
    waiting = Counted(0.15)
    load = Load([waiting], 0.1, clock)
    told = []
    for _ in range(9):
        told.append(load.share())
        clock.now_s += 0.149
    assert told[0] == told[1] == 0.0
    assert told[2:] == [pytest.approx(0.5)] * 7


def test_what_fills_the_memory_is_refused_at_once(clock: Clock) -> None:
    assert Load([Counted(0.0, 0.0), Counted(0.15, 0.9)], 0.1, clock).share() == pytest.approx(0.8)


def test_in_calm_one_looks_less_often_and_never_too_late(clock: Clock) -> None:
    calm, late, full = Counted(0.0), Counted(CALM * 0.1), Counted(0.0, CALM)
    looked = []
    for sockets in ([calm, calm], [calm, late], [full, calm]):
        load = Load(sockets, 0.1, clock)
        load.share()
        before = sockets[0].looks
        clock.now_s += LOOK_S
        load.share()
        looked.append(sockets[0].looks - before)
        clock.now_s += CALM_FOR * 0.1
    assert looked == [0, 1, 1]
    assert CALM + CALM_FOR < 1.0


def test_turned_off_nothing_is_looked_at(clock: Clock) -> None:
    waiting = Counted()
    assert Load([waiting], 0.0, clock).share() == 0.0
    assert waiting.looks == 0


def test_a_socket_of_another_port_is_none_of_ours() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        assert not [s for s in sockets_of_this_process(1) if isinstance(s, UdpSocket)]


def test_a_worker_without_a_rest_is_behind_since_its_last_one(clock: Clock) -> None:
    waits = [7]
    busy = BusyPeriod(clock, lambda: waits[0])
    assert busy.look() == Backlog(delay_s=0.0, filled=0.0)
    for _ in range(4):
        busy.begin()
        waits[0] += 1
        clock.now_s += 0.05
        busy.end()
    assert busy.look().delay_s == pytest.approx(0.2)
    waits[0] += 1
    busy.begin()
    assert busy.look().delay_s == 0.0


def test_the_kernel_counts_what_a_process_waits_for(clock: Clock) -> None:
    busy = BusyPeriod(clock)
    busy.begin()
    busy.end()
    clock.now_s += 1.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.settimeout(0.01)
        with pytest.raises(TimeoutError):
            nobody.recv(1)
    busy.begin()
    assert busy.look().delay_s == 0.0
