"""A node is drained under load: no request fails, phones move to other nodes, and meanwhile no
second node can be drained.
"""

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from deploy.lab import Lab
from overlay.base.errors import UnavailableError
from overlay.control.operator_messages import Drain
from overlay.control.proxy_messages import Register, Registered, WriteEvent, Written
from overlay.records import call
from overlay.records.call import CallEvent, EventKind
from overlay.records.draining import DrainWish
from overlay.records.register import ContactChange
from tests.farm.asking import (
    PATIENT,
    add_subscriber,
    all_records,
    eventually,
    locate,
    sipfarm,
    sipfarm_json,
)
from tests.farm.raw_phone import RawPhone
from tests.farm.sipp import Sipp

CALLS = 500
RATE = 50


@pytest.fixture
def draining_lab(lab: Lab) -> Iterator[Lab]:
    """The lab for tests that drain nodes, and end some; all serve again afterwards."""
    yield lab
    for each in lab.nodes:
        # One that does not run serves when it is started.
        with suppress(UnavailableError):
            lab.ask(each.name, Drain(wish=DrainWish.END))
    lab.restore()


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


def node(lab: Lab, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`sipfarm node` at one of the nodes."""
    return sipfarm("node", *arguments, "--config", str(lab.node(name).config))


def against_stopping(lab: Lab, asked: str, name: str) -> str:
    """Why a node should not be stopped; empty: it may."""
    done = node(lab, asked, "ok-to-stop", name)
    assert done.returncode in (0, 4), done.stderr
    return "" if done.returncode == 0 else done.stdout


def test_of_two_that_drain_at_once_one_does(draining_lab: Lab) -> None:
    lab = draining_lab
    for one, two in (("n1", "n2"), ("n3", "n2")):
        with ThreadPoolExecutor() as pool:
            begun = pool.map(lambda name: node(lab, name, "drain", "--wait", "0"), (one, two))
            ended = dict(zip((one, two), begun, strict=True))
        assert sorted(done.returncode for done in ended.values()) == [0, 4]
        (refusal,) = (done.stderr for done in ended.values() if done.returncode)
        (drains,) = (name for name, done in ended.items() if not done.returncode)
        assert "one node at a time" in refusal
        assert drains in refusal
        for asked in (one, two):
            (other,) = {"n1", "n2", "n3"} - {one, two}
            assert f"{drains} drains" in against_stopping(lab, asked, other)
            assert f"{drains} drains" not in against_stopping(lab, asked, drains)
        assert node(lab, drains, "undrain").returncode == 0
        eventually(lambda other=other: not against_stopping(lab, other, other), "all is well")  # type: ignore[misc]


def test_none_drains_while_another_is_dead(draining_lab: Lab) -> None:
    lab = draining_lab
    assert [against_stopping(lab, name, "n1") for name in ("n1", "n2", "n3")] == [""] * 3
    assert node(lab, "n1", "ok-to-stop", "n9").returncode == 1
    lab.kill("n2")
    eventually(lambda: "n2 is dead" in against_stopping(lab, "n1", "n3"), "n2's death is known")
    told = json.loads(node(lab, "n3", "ok-to-stop", "n1", "--json").stdout)
    assert (told["node"], told["ok"]) == ("n1", False)
    assert "n2 is dead" in told["reasons"][0]
    assert "1 other nodes in service would stay" in told["reasons"][1]
    assert against_stopping(lab, "n1", "n2") == "", "it is down already"
    refused = node(lab, "n1", "drain", "--wait", "0")
    assert refused.returncode == 4
    assert "n2 is dead" in refused.stderr
    assert "--force" in refused.stderr
    assert node(lab, "n1", "drain", "--force", "--wait", "20").returncode == 0


def test_a_drained_node_that_was_stopped_is_in_the_way_until_it_is_back(
    draining_lab: Lab,
) -> None:
    lab = draining_lab
    assert sipfarm_json(lab, "n2", "node", "drain", "--wait", "30")["drained"]
    lab.stop("n2")
    refused = node(lab, "n3", "drain", "--wait", "0")
    assert refused.returncode == 4
    assert "n2 is dead" in refused.stderr
    assert "has the maintenance lease" in refused.stderr
    lab.start("n2")
    lab.wait_ready(every_service=True)
    eventually(lambda: not against_stopping(lab, "n1", "n3"), "n2 has given the lease back")
    assert sipfarm_json(lab, "n3", "node", "drain", "--wait", "30")["drained"]


@contextmanager
def patient_lab() -> Iterator[Lab]:
    """A lab in which a node that does not answer keeps its place for a minute."""
    lab = Lab.up(3, settings={**PATIENT, "overlay.suspicion_min_ms": 60_000})
    try:
        yield lab
    finally:
        lab.thaw("n3")


def test_a_drain_that_stands_still_says_what_it_waits_for(no_lab: None) -> None:
    with patient_lab() as lab:
        add_subscriber(lab, "walter")
        aor = f"walter@{lab.farm}"
        contact = ContactChange(uri="sip:walter@192.0.2.1:5060", expires_s=3600)
        registered = lab.ask("n1", Register(aor=aor, call_id="w", cseq=1, contacts=(contact,)))
        assert isinstance(registered, Registered)
        began = CallEvent(
            kind=EventKind.START,
            event_id=call.event_id(EventKind.START, "talk", "w", "v"),
            call_id="talk",
            from_tag="w",
            to_tag="v",
            time_us=time.time_ns() // 1000,
            code=200,
        )
        assert isinstance(lab.ask("n1", WriteEvent(event=began)), Written)
        lab.freeze("n3", "overlay")
        refused = node(lab, "n2", "drain", "--wait", "0")
        assert refused.returncode == 4
        assert "n3 does not answer" in refused.stderr
        drains = node(lab, "n2", "drain", "--force", "--wait", "12")
        assert drains.returncode == 4
        for told in (drains.stdout, drains.stderr):
            assert "nothing has moved for" in told
            assert f"registration {aor}, not on n3" in told
            assert f"subscriber {aor}, not on n3" in told
            assert "call talk, not on n3" in told
            assert "n3 has not confirmed" in told
        fields = json.loads(node(lab, "n2", "drain", "--wait", "0.1", "--json").stdout)
        assert fields["still_s"] >= 5
        assert {aor, "talk"} <= {each["name"] for each in fields["missing"]}
        assert [peer["name"] for peer in fields["peers"]] == ["n3"]
        lab.thaw("n3")
        assert sipfarm_json(lab, "n2", "node", "drain", "--wait", "30")["drained"]
