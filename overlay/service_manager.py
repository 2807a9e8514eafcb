"""Tells systemd how a service is: ready, alive, stopping (sd_notify(3)).

In: what is to be told; the environment that systemd gives a service. Out: datagrams to its socket,
or nothing where no systemd waits for them. Counterparts: `Type=notify` and `WatchdogSec=` of the
units in `deploy/systemd/`; `daemon.py`, `sipfarm ca serve`.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

log = logging.getLogger(__name__)

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"
BEATS_A_PERIOD: Final = 4
"""How often the watchdog is fed within the time after which it bites."""


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Tell systemd; a socket that is away is logged, as the service itself is not worse for it."""
    path = environment.get("NOTIFY_SOCKET", "")
    if not path:
        return
    # "@" stands for the NUL of an abstract socket's name.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
            telling.connect(address)
            telling.send(state.encode())
    except OSError as error:
        log.warning("systemd cannot be told %s: %s", state, error)


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float:
    """After how many seconds of silence systemd kills this process; 0: never."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 1_000_000 if text.isdecimal() else 0.0


async def feed_watchdog(
    beat: Callable[[], Awaitable[None]], environment: Mapping[str, str] = os.environ
) -> None:
    """Feed the watchdog each time that `beat` has come round, until the task is cancelled; returns
    at once where there is none."""
    period_s = watchdog_s(environment)
    while period_s:
        await beat()
        notify(ALIVE, environment)
        await asyncio.sleep(period_s / BEATS_A_PERIOD)
