"""Phones that cannot reach one another talk through an RTP relay, and through the other one when
theirs has died."""

import contextlib
import socket
import subprocess
import uuid
from collections.abc import Iterable, Iterator

import pytest

from deploy.lab import Lab, Phone
from tests.farm.asking import PASSWORD, add_subscriber, eventually
from tests.farm.raw_phone import socket_on

RELAYS = {"p7": "10.77.0.107", "p8": "10.77.0.108"}
PORT = 2223
HEARD = 25
"""RTP packets: half a second."""


class Relay:
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

    def kill(self) -> None:
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


@pytest.fixture
def relayed_lab(no_lab: None) -> Lab:
    """A farm with two relays, and phones that cannot send media to one another."""
    sockets = [f"udp:{address}:{PORT}" for address in RELAYS.values()]
    lab = Lab.up(3, settings={"media.relays": sockets})
    for user in ("alice", "bob"):
        add_subscriber(lab, user)
    for host, other in (("p1", "p2"), ("p2", "p1")):
        rules = f"""table inet apart {{ chain input {{ type filter hook input priority 0;
            ip saddr {lab.phone(other).address} udp dport != 5060 drop; }} }}"""
        lab.run_on(host, ["nft", rules], timeout_s=10)
    return lab


@pytest.fixture
def relays(relayed_lab: Lab) -> Iterator[dict[str, Relay]]:
    with contextlib.ExitStack() as stack:
        started = {}
        for host in RELAYS:
            started[host] = Relay(relayed_lab, host)
            stack.callback(started[host].kill)
        # They were not there when the nodes began, and would be left alone for a while.
        for node in relayed_lab.nodes:
            relayed_lab.stop(node.name, "kamailio")
            relayed_lab.start(node.name, "kamailio")
        yield started


def _talk(alice: Phone, bob: Phone) -> str:
    """A call of which both hear the other; it goes on. Its Call-ID."""
    answered = bob.call(alice.aor)
    assert answered.state == "CONFIRMED", answered
    alice.wait("call", "CONFIRMED")
    for phone in (alice, bob):
        eventually(lambda phone=phone: phone.count_media().received > HEARD, "they hear")  # type: ignore[misc]
    return answered.call_id


def test_phones_that_cannot_reach_one_another_hear_one_another(
    relayed_lab: Lab, relays: dict[str, Relay]
) -> None:
    lab = relayed_lab
    names = {name: {lab.farm: lab.node(name).address} for name in ("n1", "n2")}
    with (
        Phone(lab, "p1", "alice", PASSWORD, names=names["n1"]) as alice,
        Phone(lab, "p2", "bob", PASSWORD, names=names["n2"]) as bob,
    ):
        assert alice.register().code == bob.register().code == 200
        used: set[str] = set()
        while used != set(RELAYS):
            call_id = _talk(alice, bob).encode()
            having = [host for host, relay in relays.items() if call_id in relay.calls()]
            assert len(having) == 1, "all nodes choose the same relay"
            used.update(having)
            # The BYE takes another way than the INVITE took.
            _hang_up(alice, bob)
            eventually(lambda: _is_idle(relays.values()), "the relays have let the call go")
        relays["p7"].kill()
        for _ in range(3):
            call_id = _talk(alice, bob).encode()
            assert call_id in relays["p8"].calls()
            _hang_up(bob, alice)


def _hang_up(phone: Phone, other: Phone) -> None:
    phone.hang_up()
    for each in (phone, other):
        each.wait("call", "DISCONNECTED")


def _is_idle(relays: Iterable[Relay]) -> bool:
    return all(b"5:callsle" in relay.calls() for relay in relays)
