"""A node dies, freezes or is cut off: calls are still placed and ended, and records are kept."""

import pytest

from deploy.lab import Lab, Phone
from overlay.records.targets import Reach
from tests.farm.asking import ended_record, eventually, locate, records, states


def test_call_to_a_phone_whose_node_was_killed(
    breakable_lab: Lab, alice: Phone, bob: Phone
) -> None:
    lab = breakable_lab
    lab.kill("n1")
    answered = bob.call(alice.aor)
    assert answered.state == "CONFIRMED", answered
    alice.wait("call", "CONFIRMED")
    bob.hang_up()
    bob.wait("call", "DISCONNECTED")
    eventually(lambda: states(lab, "n2")["n1"] == "dead", "n2 knows that n1 is dead")
    for name in ("n2", "n3"):
        assert locate(lab, name, "alice").reach is Reach.FOUND
    assert ended_record(lab, answered.call_id).state == "complete"


def test_call_survives_the_node_that_set_it_up(
    breakable_lab: Lab, alice: Phone, bob: Phone
) -> None:
    lab = breakable_lab
    answered = bob.call(alice.aor)
    assert answered.state == "CONFIRMED", answered
    lab.kill("n2")
    bob.hang_up()
    assert alice.wait("call", "DISCONNECTED").code == 200
    record = ended_record(lab, answered.call_id)
    assert (record.state, record.nodes) == ("complete", ("n2", "n3"))


def test_record_is_read_at_a_node_that_was_dead_meanwhile(
    breakable_lab: Lab, alice: Phone, bob: Phone
) -> None:
    lab = breakable_lab
    lab.kill("n1")
    answered = bob.call(alice.aor)
    assert answered.state == "CONFIRMED", answered
    bob.hang_up()
    bob.wait("call", "DISCONNECTED")
    lab.start("n1")
    lab.wait_ready(every_service=True)
    eventually(
        lambda: [each.state for each in records(lab, "n1", answered.call_id)] == ["complete"],
        "n1 has the record of a call that it did not see",
    )


def test_frozen_node_is_found_dead_and_comes_back(breakable_lab: Lab) -> None:
    lab = breakable_lab
    lab.freeze("n3")
    took_s = eventually(lambda: states(lab, "n1")["n3"] == "dead", "n1 takes n3 for dead")
    assert took_s < 5
    lab.thaw("n3")
    eventually(lambda: states(lab, "n1")["n3"] == "alive", "n1 takes n3 for alive")
    eventually(lambda: set(states(lab, "n3").values()) == {"alive"}, "n3 sees all nodes")


def test_cut_off_node_goes_on_and_both_sides_meet_again(
    breakable_lab: Lab, alice: Phone, bob: Phone
) -> None:
    lab = breakable_lab
    lab.cut(["n1"])
    eventually(lambda: states(lab, "n2")["n1"] == "dead", "n2 takes n1 for dead")
    eventually(lambda: states(lab, "n1")["n2"] == "dead", "n1 takes n2 for dead")
    assert locate(lab, "n1", "alice").reach is Reach.FOUND
    answered = bob.call(alice.aor)
    assert answered.state == "CONFIRMED", answered
    bob.hang_up()
    bob.wait("call", "DISCONNECTED")
    lab.heal()
    eventually(lambda: set(states(lab, "n1").values()) == {"alive"}, "the sides have met", 20)
    eventually(
        lambda: [each.state for each in records(lab, "n1", answered.call_id)] == ["complete"],
        "n1 has the record of a call that it did not see",
    )


@pytest.mark.parametrize("service", ["redis", "pdns", "overlay", "kamailio"])
def test_farm_serves_while_one_service_of_a_node_is_down(
    breakable_lab: Lab, alice: Phone, bob: Phone, service: str
) -> None:
    lab = breakable_lab
    lab.kill("n1", service)
    answered = bob.call(alice.aor)
    assert answered.state == "CONFIRMED", answered
    bob.hang_up()
    bob.wait("call", "DISCONNECTED")
    lab.start("n1", service)
    lab.wait_ready(every_service=True)


@pytest.mark.parametrize("what", ["kill", "freeze"])
def test_without_its_redis_a_node_asks_the_overlay(
    breakable_lab: Lab, alice: Phone, bob: Phone, what: str
) -> None:
    lab = breakable_lab
    for _ in range(2):
        answered = bob.call(alice.aor)
        assert answered.state == "CONFIRMED", answered
        bob.hang_up()
        bob.wait("call", "DISCONNECTED")
        getattr(lab, what)("n2", "redis")
    assert ended_record(lab, answered.call_id).state == "complete"
