"""Tells systemd how a service is: ready, alive, stopping (sd_notify(3)).

In: what is to be told; the environment that systemd gives a service. Out: datagrams to its socket,
or nothing where no systemd waits for them. Counterparts: `Type=notify` and `WatchdogSec=` of the
units in `deploy/systemd/`; `overlay.daemon.main`, `sipfarm ca serve`.
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
"""Feeds the watchdog, where there is one (`WatchdogSec=`)."""


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
