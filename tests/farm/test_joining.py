"""A new node joins a running farm with one token, and serves phones within seconds."""

import json

import pytest

from deploy.lab import Lab, LabError, Phone
from tests.farm.asking import add_subscriber, eventually, locate, sipfarm, states
from tests.sip.credentials import PASSWORD

SERVES_WITHIN_S = 15.0
"""From its token until all four services answer and every node knows it, on a busy machine; 2 s on
an idle one."""


def test_a_node_joins_with_a_token_serves_and_can_be_revoked(no_lab: None) -> None:
    lab = Lab.up(2)
    add_subscriber(lab, "alice")
    took_s = lab.join("n3")
    print(f"n3 serves {took_s:.2f} s after it got its token")
    assert took_s < SERVES_WITHIN_S
    with pytest.raises(LabError, match="n3 is no new node"):
        lab.join("n3")
    names = {lab.farm: lab.node("n3").address}
    with Phone(lab, "p1", "alice", PASSWORD, names=names) as phone:
        assert phone.register().code == 200
    assert locate(lab, "n1", "alice").bindings
    authority = lab.host_directory("n1").parent / "ca"
    revoked = sipfarm("ca", "revoke", "--ca", str(authority), "n3", "--json")
    assert revoked.returncode == 0, revoked.stderr
    listed = json.loads(revoked.stdout)["list"]
    config = str(lab.node("n1").config)
    told = sipfarm("node", "revoke", "--list", listed, "--config", config)
    assert told.returncode == 0, told.stderr

    def shut_out() -> bool:
        return all(states(lab, name)["n3"] != "alive" for name in ("n1", "n2"))

    assert eventually(shut_out, "n3 is out") < 5.0
