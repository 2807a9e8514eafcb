"""When phones have stayed away for long enough, and which question Kamailio gets."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from overlay.cli.withdraw import LOOK_EVERY_S, QUIET_S, requests_of, wait_until_quiet


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def sleep(self, wait_s: float) -> None:
        self.now_s += wait_s


def _waited(counts: Iterator[int | None], wait_s: float) -> tuple[bool, float]:
    clock = Clock()
    quiet = wait_until_quiet(
        lambda: next(counts), wait_s, now_s=lambda: clock.now_s, sleep=clock.sleep
    )
    return quiet, clock.now_s


def test_a_second_without_requests_is_enough() -> None:
    quiet, waited_s = _waited(iter([7] * 100), 10.0)
    assert quiet
    assert QUIET_S <= waited_s <= QUIET_S + LOOK_EVERY_S


def test_the_wait_ends_though_requests_still_come() -> None:
    quiet, waited_s = _waited(iter(range(1000)), 3.0)
    assert not quiet
    assert waited_s == pytest.approx(3.0, abs=LOOK_EVERY_S)


def test_what_comes_meanwhile_begins_the_second_anew() -> None:
    quiet, waited_s = _waited(iter([1, 1, 1, 2] + [2] * 100), 10.0)
    assert quiet
    assert waited_s == pytest.approx(3 * LOOK_EVERY_S + QUIET_S, abs=LOOK_EVERY_S + 1e-9)


def test_a_kamailio_that_has_gone_is_not_waited_for() -> None:
    assert _waited(iter([None]), 10.0) == (True, 0.0)
    assert _waited(iter([1, 2, None]), 10.0)[1] == pytest.approx(2 * LOOK_EVERY_S)


def test_no_time_is_no_wait() -> None:
    assert _waited(iter([1]), 0.0) == (False, 0.0)


@pytest.mark.parametrize(
    ("result", "count"),
    [
        (["core:rcv_requests = 120", "core:rcv_requests_options = 100"], 20),
        (["core:rcv_requests = 120"], None),
        ("what", None),
        (["core:rcv_requests = x", "core:rcv_requests_options = 1"], None),
    ],
)
def test_requests_are_counted_without_those_that_only_look(
    tmp_path: Path, result: object, count: int | None
) -> None:
    path = tmp_path / "kamailio.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))

        def serve() -> None:
            data, sender = listening.recvfrom(65_535)
            assert json.loads(data)["method"] == "stats.get_statistics"
            listening.sendto(json.dumps({"id": 1, "result": result}).encode(), sender)

        serving = threading.Thread(target=serve)
        serving.start()
        assert requests_of(path) == count
        serving.join()


def test_a_kamailio_that_is_away_counts_nothing(tmp_path: Path) -> None:
    assert requests_of(tmp_path / "none.sock") is None
