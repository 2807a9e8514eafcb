"""Tells systemd what state a service is in: ready, alive or stopping (sd_notify(3)).

In: the state; the environment that systemd gives a service. Out: a datagram to systemd's socket, or
nothing if systemd named no socket. Counterparts: `Type=notify` and `WatchdogSec=` in the units of
`deploy/systemd/`; the callers are `overlay.daemon.main` and `sipfarm ca serve`.
"""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Final

log = logging.getLogger(__name__)

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"
"""Resets the watchdog timer, if the unit has one (`WatchdogSec=`)."""


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Tell systemd this state. If the socket cannot be reached, a warning is logged and the service
    goes on: it is not worse for it."""
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
