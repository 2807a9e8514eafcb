"""Runs a real rtpengine on a host of the lab.

In: a lab, a host. Out: the relay, asked over its control protocol. Counterparts: `test_media.py`,
`test_media_policy.py`.
"""

import contextlib
import socket
import subprocess
import uuid
from typing import Final

from deploy.lab import Lab
from tests.closing import Closing
from tests.farm.asking import eventually
from tests.farm.raw_phone import socket_on

RELAYS: Final = {"p7": "10.77.0.107", "p8": "10.77.0.108"}
PORT: Final = 2223


class Relay(Closing):
    """A real rtpengine, without its kernel module, on a phone host."""

    def __init__(self, lab: Lab, host: str) -> None:
        assert lab.phone(host).address == RELAYS[host]
        self._lab, self._host, self._address = lab, host, RELAYS[host]
        argv = ["rtpengine", "--foreground", "--log-stderr", "--table=-1", "--log-level=4"]
        argv += [f"--interface={self._address}", f"--listen-ng={self._address}:{PORT}"]
        argv += ["--port-min=30000", "--port-max=30999"]
        self._log = open(lab.host_directory(host) / "rtpengine.log", "wb")  # noqa: SIM115
        self._process = subprocess.Popen(
            lab.command_on(host, argv),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        eventually(lambda: b"pong" in self._ask("ping"), f"rtpengine on {host} answers")

    def calls(self) -> bytes:
        """The Call-IDs that it has sessions of, bencoded."""
        answer = b""

        def answered() -> bool:
            nonlocal answer
            answer = self._ask("list")
            return bool(answer)

        eventually(answered, f"rtpengine on {self._host} lists its calls")
        return answer

    def close(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _ask(self, command: str) -> bytes:
        """The NG protocol: a cookie, and a bencoded dictionary."""
        cookie = uuid.uuid4().hex.encode()
        question = b"%s d7:command%d:%se" % (cookie, len(command), command.encode())
        with socket_on(self._lab, self._host, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.5)
            with contextlib.suppress(OSError):
                asking.sendto(question, (self._address, PORT))
                return asking.recv(65_535)
        return b""

    def is_idle(self) -> bool:
        """Whether it has no session."""
        return b"5:callsle" in self.calls()


def control_socket(host: str) -> str:
    """How `media.relays` names the relay on a host."""
    return f"udp:{RELAYS[host]}:{PORT}"


def restart_proxies(lab: Lab) -> None:
    """Relays that were not there when the nodes began would be left alone for a while."""
    for node in lab.nodes:
        lab.stop(node.name, "kamailio")
        lab.start(node.name, "kamailio")
