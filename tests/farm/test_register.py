"""Real phones and sipp register at any node."""

import pytest

from deploy.lab import Lab, Phone
from overlay.records.targets import Reach
from tests.farm.asking import eventually, locate
from tests.farm.sipp import Sipp
from tests.sip.credentials import PASSWORD

NODES = ("n1", "n2", "n3")


def test_phone_registers_and_every_node_finds_it(lab: Lab, alice: Phone) -> None:
    for name in NODES:
        found = locate(lab, name, "alice")
        assert found.reach is Reach.FOUND
        in_force = [binding for binding in found.bindings if not binding.removed]
        assert len(in_force) == 1
        assert alice.address in in_force[0].contact
        assert len(found.replicas) >= 2


def test_phone_finds_the_farm_by_its_dns(lab: Lab) -> None:
    with Phone(lab, "p3", "dave", PASSWORD) as dave:
        assert dave.register().code == 200
        assert locate(lab, "n2", "dave").reach is Reach.FOUND


def test_phone_registers_over_tcp(lab: Lab) -> None:
    names = {lab.farm: lab.node("n2").address}
    with Phone(lab, "p3", "dave", PASSWORD, names=names, transport="tcp") as dave:
        assert dave.register().code == 200
        assert locate(lab, "n1", "dave").reach is Reach.FOUND


def test_unregistered_phone_is_offline(lab: Lab) -> None:
    with Phone(lab, "p3", "dave", PASSWORD, names={lab.farm: lab.node("n1").address}) as dave:
        assert dave.register().code == 200
        assert dave.unregister().code == 200
    for name in NODES:
        eventually(
            lambda name=name: locate(lab, name, "dave").reach is Reach.OFFLINE,
            f"{name} knows that dave is gone",
        )


@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_wrong_password_and_unknown_user_are_refused_alike(lab: Lab, user: str) -> None:
    names = {lab.farm: lab.node("n1").address}
    with Phone(lab, "p3", user, "wrong", names=names) as phone:
        assert phone.register().code in (401, 403)


def test_wrong_password_is_challenged_again(lab: Lab) -> None:
    with Sipp(
        lab,
        "p4",
        "register",
        to=lab.describe().nodes[0].sip,
        code=401,
        service="carol",
        password="wrong",
        contact="10.77.0.104:5070",
        expires=60,
    ) as sipp:
        sipp.wait()
