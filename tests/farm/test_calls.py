"""Real phones call each other across nodes."""

import time

from deploy.lab import Lab, Phone
from tests.farm.asking import ended_record, eventually

CLOCKS_MS = 20
"""How far the clock of the test and that of the records may drift apart in a call."""


def test_call_across_nodes_is_answered_heard_and_ended_by_the_caller(
    lab: Lab, alice: Phone, bob: Phone
) -> None:
    dialled_s = time.monotonic()
    answered = bob.call(alice.aor)
    assert (answered.state, answered.code) == ("CONFIRMED", 200)
    alice.wait("call", "CONFIRMED")
    talking_s = time.monotonic()
    eventually(lambda: alice.count_media().received > 0, "alice hears bob")
    talked_s = time.monotonic() - talking_s
    bob.hang_up()
    alice.wait("call", "DISCONNECTED")
    bob.wait("call", "DISCONNECTED")
    record = ended_record(lab, answered.call_id)
    gone_s = time.monotonic() - dialled_s
    assert record.state == "complete"
    assert record.hangup == "caller"
    assert record.nodes == ("n2", "n3")
    assert (record.subscriber, record.asserted) == (bob.aor.removeprefix("sip:"), bob.aor)
    assert record.request_uri == alice.aor
    assert record.routed_uri.startswith(f"sip:alice@{alice.address}:")
    # A phone sends a large INVITE by TCP (RFC 3261 18.1.1).
    transport, _, source = record.source.partition(":")
    assert transport in ("udp", "tcp")
    assert source.startswith(f"{bob.address}:")
    assert record.destination.startswith(f"udp:{alice.address}:")
    assert 1000 * talked_s - CLOCKS_MS < record.duration_ms < 1000 * gone_s + CLOCKS_MS


def test_callee_ends_the_call(lab: Lab, alice: Phone, bob: Phone) -> None:
    answered = bob.call(alice.aor)
    assert answered.state == "CONFIRMED"
    alice.wait("call", "CONFIRMED")
    alice.hang_up()
    assert bob.wait("call", "DISCONNECTED").code == 200
    record = ended_record(lab, answered.call_id)
    assert (record.state, record.hangup) == ("complete", "callee")


def test_busy_phone_and_caller_that_gives_up(lab: Lab, bob: Phone) -> None:
    names = {lab.farm: lab.node("n1").address}
    with Phone(lab, "p1", "alice", "looking-glass", names=names, answers=False) as alice:
        assert alice.register().code == 200
        bob.dial(alice.aor)
        alice.wait("incoming")
        alice.answer(486)
        assert bob.wait("call", "DISCONNECTED").code == 486
        assert alice.wait("call", "DISCONNECTED").code == 486
        bob.dial(alice.aor)
        bob.wait("call", "EARLY")
        bob.hang_up()
        assert bob.wait("call", "DISCONNECTED").code == 487
        assert alice.wait("call", "DISCONNECTED").code == 487


def test_unknown_and_offline(lab: Lab, bob: Phone) -> None:
    assert bob.call(f"sip:nobody@{lab.farm}").code == 404
    assert bob.call(f"sip:dave@{lab.farm}").code == 480
