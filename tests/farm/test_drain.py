"""A node is taken out of service under load: no request fails, and phones move elsewhere."""

import uuid
from collections.abc import Iterator

import pytest

from deploy.lab import Lab
from overlay.control.messages import ContactChange, Drain, DrainWish, Register, Registered
from tests.farm.asking import add_subscriber, all_records, eventually, locate, sipfarm, sipfarm_json
from tests.farm.raw_phone import RawPhone
from tests.farm.sipp import Sipp

CALLS = 500
RATE = 50


@pytest.fixture
def draining_lab(breakable_lab: Lab) -> Iterator[Lab]:
    """The lab for tests that drain nodes; all serve again afterwards."""
    yield breakable_lab
    for node in breakable_lab.nodes:
        breakable_lab.ask(node.name, Drain(wish=DrainWish.END))


def dig(lab: Lab, node: str, name: str, kind: str) -> set[str]:
    """What a node's name server says."""
    sent = ["dig", f"@{lab.node(node).address}", "+short", "+time=1", "+tries=1", name, kind]
    return set(lab.run_on("p3", sent, timeout_s=10).stdout.splitlines())


def test_fifty_calls_a_second_while_a_node_drains(breakable_lab: Lab) -> None:
    """INVITEs through n2, which drains and is stopped, and BYEs through n3."""
    lab, prefix = breakable_lab, uuid.uuid4().hex
    callee = lab.phone("p1").address
    contact = ContactChange(uri=f"sip:drained@{callee}:5080", expires_s=3600)
    request = Register(aor=f"drained@{lab.farm}", call_id="drained", cseq=1, contacts=(contact,))
    assert isinstance(lab.ask("n2", request), Registered)
    to, bye_via = f"{lab.node('n2').address}:5060", lab.node("n3").address
    with (
        Sipp(lab, "p1", "callee", port=5080, calls=CALLS, timeout_s=60),
        Sipp(
            lab,
            "p2",
            "caller",
            to=to,
            port=5080,
            timeout_s=60,
            call_id=prefix,
            calls=CALLS,
            rate=RATE,
            bye_via=bye_via,
            service="drained",
        ) as caller,
    ):
        eventually(lambda: len(all_records(lab, "n1", prefix)) > CALLS // 10, "calls go on")
        proof = sipfarm_json(lab, "n2", "node", "drain", "--wait", "60")
        assert proof["drained"]
        assert (proof["unproven"], proof["journal"], proof["copies"]) == (0, 0, 2)
        nodes = sipfarm_json(lab, "n1", "status")["nodes"]
        assert [node["name"] for node in nodes if node["draining"]] == ["n2"]
        caller.wait()
    lab.stop("n2")
    for name in ("n1", "n3"):
        found = all_records(lab, name, prefix)
        assert len(found) == CALLS
        assert {record.state for record in found} == {"complete"}


def test_it_leaves_the_answers_of_dns_and_comes_back(draining_lab: Lab) -> None:
    lab = draining_lab
    addresses = {node.name: node.address for node in lab.nodes}
    assert dig(lab, "n1", lab.farm, "A") == set(addresses.values())
    lab.ask("n3", Drain(wish=DrainWish.BEGIN))
    without = set(addresses.values()) - {addresses["n3"]}
    for asked in addresses:
        took_s = eventually(
            lambda asked=asked: dig(lab, asked, lab.farm, "A") == without,  # type: ignore[misc]
            f"{asked} does not name n3",
        )
        assert took_s < 5, "PowerDNS keeps answers for a second"
    assert dig(lab, "n1", f"n3.{lab.farm}", "A") == {addresses["n3"]}, "its own name stays"
    assert sipfarm("node", "undrain", "--config", str(lab.node("n3").config)).returncode == 0
    eventually(lambda: dig(lab, "n1", lab.farm, "A") == set(addresses.values()), "n3 is back")


def test_a_connection_that_registers_is_sent_elsewhere(draining_lab: Lab) -> None:
    lab = draining_lab
    add_subscriber(lab, "walter")
    with RawPhone(lab, "p3", "walter", tcp_to="n2") as phone:
        assert phone.register("n2", ";expires=1800").code == 200
        lab.ask("n2", Drain(wish=DrainWish.BEGIN))
        answer = phone.register("n2", ";expires=1800")
        assert answer.code == 200
        assert "expires=60" in answer.get("Contact")
        with pytest.raises(ConnectionError, match="closed"):
            phone.receive(20.0)
    with RawPhone(lab, "p3", "walter", tcp_to="n3") as phone:
        assert phone.register("n3", ";expires=1800").code == 200
        bindings = locate(lab, "n1", "walter").bindings
        assert "n3" in {each.owner for each in bindings if each.contact == phone.contact}
