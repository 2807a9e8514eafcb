"""A real phone behind a real edge proxy (RFC 3327) registers, is called, and hangs up."""

from deploy.lab import Lab, Phone
from tests.farm.asking import ended_record, locate
from tests.farm.edge import Edge
from tests.sip.credentials import PASSWORD


def test_a_phone_behind_an_edge_proxy_is_called_along_its_path(lab: Lab, bob: Phone) -> None:
    with (
        Edge(lab, "p7", "n1") as edge,
        Phone(lab, "p6", "dave", PASSWORD, names={lab.farm: edge.address}) as dave,
    ):
        assert dave.register().code == 200
        (bound,) = [each for each in locate(lab, "n3", "dave").bindings if not each.removed]
        (hop,) = bound.path
        assert edge.address in hop
        assert (bound.owner, bound.received) == ("", "")
        answered = bob.call(dave.aor)
        assert answered.state == "CONFIRMED", answered
        dave.wait("call", "CONFIRMED")
        dave.hang_up()
        assert bob.wait("call", "DISCONNECTED").code == 200
        record = ended_record(lab, answered.call_id)
        assert (record.state, record.hangup) == ("complete", "callee")
        assert dave.unregister().code == 200
