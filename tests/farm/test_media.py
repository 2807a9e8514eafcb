"""Phones that cannot reach one another talk through an RTP relay, and through another one when it
dies.
"""

import contextlib
from collections.abc import Iterable, Iterator

import pytest

from deploy.lab import Lab, Phone
from tests.farm.asking import add_subscriber, eventually
from tests.farm.rtp_relay import RELAYS, Relay, control_socket, restart_proxies
from tests.sip.credentials import PASSWORD

HEARD = 25
"""RTP packets: half a second."""


@pytest.fixture
def relayed_lab(no_lab: None) -> Lab:
    """A farm with two relays, and phones that cannot send media to one another."""
    lab = Lab.up(3, settings={"media.relays": [control_socket(host) for host in RELAYS]})
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
        started = {host: stack.enter_context(Relay(relayed_lab, host)) for host in RELAYS}
        restart_proxies(relayed_lab)
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
        relays["p7"].close()
        for _ in range(3):
            call_id = _talk(alice, bob).encode()
            assert call_id in relays["p8"].calls()
            _hang_up(bob, alice)


def _hang_up(phone: Phone, other: Phone) -> None:
    phone.hang_up()
    for each in (phone, other):
        each.wait("call", "DISCONNECTED")


def _is_idle(relays: Iterable[Relay]) -> bool:
    return all(relay.is_idle() for relay in relays)
