"""Sends hostile messages to the SIP ports of a real node, and checks that the node withstands them.

In: a seed and a number of cases. Out: how many the node withstood; for the first batch that it did
not, exit status 1 and the command that plays it again. Counterparts: `sip_mutations.py`, which
makes the bytes; `tests/farm/liveness.py`, which checks the node. Needs root, as the lab does:
`python -m tests.fuzz.sip --cases 10000 --seed 1`.
"""

import argparse
import contextlib
import random
import socket
import sys
import time
from collections.abc import Sequence
from typing import Final

from deploy.lab import Lab
from tests.farm.asking import PATIENT, add_subscriber, eventually
from tests.farm.calling import call
from tests.farm.liveness import Watch
from tests.farm.raw_phone import SIP_PORT, RawPhone, socket_on
from tests.farm.torture import busy
from tests.fuzz import sip_mutations
from tests.sip.websocket import WebSocket

TRANSPORTS: Final = ("udp", "tcp", "ws")
BATCH: Final = 250
_IN_A_CALL: Final = ("INVITE", "UPDATE", "INFO", "MESSAGE", "ACK", "PRACK", "BYE")
_STATUSES: Final = (b"100 Trying", b"180 Ringing", b"200 OK", b"200 OK", b"486 Busy", b"603 No")
SHARED_GROWTH_BYTES_MAX: Final = 48 << 20
"""Of shared memory, while messages, transactions and connections come and go,"""
SHARED_LEFT_BYTES_MAX: Final = 4 << 20
"""and when they have gone: pins, and what tables grow by."""
PRIVATE_GROWTH_BYTES_MAX: Final = 4 << 20
_NODE: Final = "n1"
_HOST: Final = "p6"
SETTINGS: Final[dict[str, object]] = {**PATIENT, "proxy.source_requests_per_s_max": 0}
"""Else most of it would be dropped as a flood, and some refused as too much at once."""
OPEN: Final[dict[str, object]] = {**SETTINGS, "proxy.authenticate": False}
"""So that more of it gets as far as the registrar."""


class Sender:
    """One hostile host; connections are made again when the node has ended them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._address = lab.node(_NODE).address
        self._datagrams = socket_on(lab, _HOST, socket.SOCK_DGRAM)
        self._datagrams.bind((lab.phone(_HOST).address, 0))
        self._datagrams.setblocking(False)
        self._connections: dict[str, socket.socket] = {}

    @property
    def here(self) -> str:
        """Where datagrams come from."""
        host, port = self._datagrams.getsockname()
        return f"{host}:{port}"

    def send(self, chance: random.Random, over: str, data: bytes) -> None:
        """One case."""
        if over == "udp":
            with contextlib.suppress(BlockingIOError):
                self._datagrams.sendto(data, (self._address, SIP_PORT))
            return
        parts = sip_mutations.pieces(chance, data)
        if over == "ws":
            parts = [sip_mutations.frame(chance, part) for part in parts]
        with contextlib.suppress(OSError):
            connection = self._connection(over)
            try:
                for part in parts:
                    connection.sendall(part)
                self._read(connection)
            except OSError:
                self._connections.pop(over).close()

    def close(self) -> None:
        """End all connections."""
        for each in (*self._connections.values(), self._datagrams):
            each.close()
        self._connections.clear()

    def _connection(self, over: str) -> socket.socket:
        if over not in self._connections:
            port = SIP_PORT if over == "tcp" else self._lab.config(_NODE).proxy.ws_port
            plain = socket_on(self._lab, _HOST, socket.SOCK_STREAM)
            plain.settimeout(5)
            plain.connect((self._address, port))
            if over == "ws":
                WebSocket(plain, f"ws://{self._lab.farm}:{port}/")
            plain.settimeout(1)
            self._connections[over] = plain
        return self._connections[over]

    def _read(self, connection: socket.socket) -> None:
        """Take what has come, so that the node can go on writing."""
        connection.setblocking(False)
        try:
            while connection.recv(1 << 16):
                pass
            raise ConnectionError("the node has ended it")
        except BlockingIOError:
            connection.settimeout(1)


class Fire:
    """A node under fire; bob is registered there, so that what passes goes somewhere."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        for user in ("bob", "caller"):
            add_subscriber(lab, user)
        self._bob = RawPhone(lab, "p2", "bob")
        assert self._bob.register(_NODE).code == 200
        self._caller = RawPhone(lab, "p3", "caller")
        self._in_a_call = [
            side.text(method, 1_000 + number).encode()
            for side in call(self._caller, self._bob, _NODE)
            for number, method in enumerate(_IN_A_CALL)
        ]
        self._watch = Watch(lab, _NODE, "p7")
        self._watch.well()
        self._memory = self._watch.memory_bytes()
        self._sender = Sender(lab)

    def batch(self, seed: int, cases: int) -> None:
        """Play these cases; raises `AssertionError` with the command that plays them again."""
        chance = random.Random(seed)
        fills = {"FARM": self._lab.farm, "HERE": self._sender.here, "FROM": "x"}
        real = [*self._in_a_call, *self._answers(seed)]
        for number in range(cases):
            own = {"CALL": f"fuzz-{seed}-{number}", "BRANCH": f"z9hG4bKfuzz{seed}x{number}"}
            data = sip_mutations.payload(chance, {**fills, **own}, real)
            self._sender.send(chance, chance.choice(TRANSPORTS), data)
            if number % 10 == 9:
                time.sleep(0.002)
        try:
            self._watch.well()
            self._memory_bounded()
        except (AssertionError, OSError) as error:
            again = f"python -m tests.fuzz.sip --cases {cases} --seed {seed}"
            if not self._lab.config(_NODE).proxy.authenticate:
                again += " --open"
            raise AssertionError(f"{error!r}; again: {again}") from error

    def rest(self) -> None:
        """Wait until what the node held for a while is given back."""
        eventually(
            lambda: self._watch.memory_bytes()[0] - self._memory[0] < SHARED_LEFT_BYTES_MAX,
            "shared memory is given back",
            60,
        )

    def memory(self) -> str:
        """What Kamailio has taken since the beginning, for people."""
        shared, private = self._watch.memory_bytes()
        return (
            f"shared memory {(shared - self._memory[0]) / 1024:+.0f} KiB, "
            f"the largest process {(private - self._memory[1]) / 1024:+.0f} KiB"
        )

    def close(self) -> None:
        """Take bob away."""
        self._sender.close()
        self._bob.register(_NODE, ";expires=0")
        self._bob.close()
        self._caller.close()

    def _answers(self, seed: int) -> list[bytes]:
        """What bob may say to a call that the node has just sent him, and that is billed."""
        # Where nobody is asked for a proof, he may have been registered away.
        assert self._bob.register(_NODE).code == 200
        call_id = f"fuzzed-call-{seed}"
        text = self._caller.request_text(
            "INVITE", self._bob.aor, from_uri="sip:x@example.org", call_id=call_id, cseq=1
        )
        until_s = time.monotonic() + 10
        while time.monotonic() < until_s:
            self._caller.send(_NODE, text)
            with contextlib.suppress(TimeoutError):
                # What the node let through before lies there as well.
                while not (invite := self._bob.receive_bytes(0.5)).startswith(b"INVITE ") or (
                    call_id.encode() not in invite
                ):
                    pass
                contact = f"\r\nContact: <{self._bob.contact}>\r\n".encode()
                said = busy(invite).replace(b"\r\n", contact, 1)
                return [said.replace(b"486 Busy Here", status) for status in _STATUSES]
        raise AssertionError("a call does not get through")

    def _memory_bounded(self) -> None:
        shared, private = self._watch.memory_bytes()
        grown = (shared - self._memory[0], private - self._memory[1])
        assert grown[0] < SHARED_GROWTH_BYTES_MAX, f"shared memory has grown by {grown[0]} bytes"
        assert grown[1] < PRIVATE_GROWTH_BYTES_MAX, f"a process has grown by {grown[1]} bytes"


def main(arguments: Sequence[str]) -> int:
    """Play what the command line asks for, in a lab of one node."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.sip", description=__doc__)
    parser.add_argument("--cases", type=int, default=5_000, help="default: 5000")
    parser.add_argument("--seed", type=int, default=0, help="of the first batch (default: 0)")
    parser.add_argument("--open", action="store_true", help="ask nobody for a proof")
    options = parser.parse_args(arguments)
    lab = Lab.up(1, settings=OPEN if options.open else SETTINGS)
    try:
        fire = Fire(lab)
        for number, first in enumerate(range(0, options.cases, BATCH)):
            fire.batch(options.seed + number, min(BATCH, options.cases - first))
        print(f"{options.cases} cases borne; {fire.memory()}")
        fire.rest()
        print(f"afterwards {fire.memory()}")
    except AssertionError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        Lab.down()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
