"""sipp sends the requests of one dialog through chosen nodes, which real phones cannot do."""

from collections.abc import Iterator

import pytest

from deploy.lab import Lab
from tests.farm.asking import one_record, records
from tests.farm.sipp import Sipp
from tests.sip.credentials import PASSWORD

SIP_PORT = 5060


def at(lab: Lab, node: str) -> str:
    return f"{lab.node(node).address}:{SIP_PORT}"


@pytest.fixture
def carol(lab: Lab) -> Iterator[str]:
    """Carol is registered with a Contact at which sipp may be started."""
    address = lab.phone("p4").address
    values = {"service": "carol", "password": PASSWORD, "contact": f"{address}:5080"}
    with Sipp(lab, "p4", "register", to=at(lab, "n1"), code=200, expires=120, **values) as sipp:
        sipp.wait()
    yield "carol"
    with Sipp(lab, "p4", "register", to=at(lab, "n2"), code=200, expires=0, **values) as sipp:
        sipp.wait()


@pytest.mark.parametrize("bye_via", ["n1", "n2", "n3"])
def test_caller_hangs_up_through_any_node(lab: Lab, carol: str, bye_via: str) -> None:
    with (
        Sipp(lab, "p4", "callee", port=5080) as callee,
        Sipp(
            lab,
            "p5",
            "caller",
            to=at(lab, "n2"),
            service=carol,
            bye_via=lab.node(bye_via).address,
        ) as caller,
    ):
        caller.wait()
        callee.wait()
        record = one_record(lab, caller.call_id)
    assert (record.state, record.hangup) == ("complete", "caller")
    assert record.nodes == tuple(dict.fromkeys(("n2", bye_via)))
    assert record.code == 200
    assert record.callee == f"sip:carol@{lab.farm}"
    assert 900 <= record.duration_ms <= 5000
    assert record.levels == ("quorum", "quorum")
    assert len(record.replicas) >= 2


def test_callee_hangs_up_through_another_node(lab: Lab, carol: str) -> None:
    third = lab.node("n3").address
    with (
        Sipp(lab, "p4", "callee_hangs_up", port=5080, bye_via=third) as callee,
        Sipp(lab, "p5", "caller_waits", to=at(lab, "n1"), service=carol) as caller,
    ):
        callee.wait()
        caller.wait()
        record = one_record(lab, caller.call_id)
    assert (record.state, record.hangup, record.nodes) == ("complete", "callee", ("n1", "n3"))


@pytest.mark.parametrize("cancel_via", ["n1", "n3"])
def test_caller_gives_up_through_any_node(lab: Lab, carol: str, cancel_via: str) -> None:
    with (
        Sipp(lab, "p4", "callee_rings", port=5080) as callee,
        Sipp(
            lab,
            "p5",
            "caller_gives_up",
            to=at(lab, "n1"),
            service=carol,
            bye_via=lab.node(cancel_via).address,
        ) as caller,
    ):
        caller.wait()
        callee.wait()
        assert not any(record.state == "complete" for record in records(lab, "n2", caller.call_id))


@pytest.mark.parametrize("node", ["n1", "n2", "n3"])
@pytest.mark.parametrize(
    ("service", "max_forwards", "code"),
    [("nobody", 70, 404), ("dave", 70, 480), ("carol", 0, 483)],
)
def test_refused(
    lab: Lab, carol: str, node: str, service: str, max_forwards: int, code: int
) -> None:
    with Sipp(
        lab,
        "p5",
        "caller_refused",
        to=at(lab, node),
        service=service,
        code=code,
        max_forwards=max_forwards,
    ) as caller:
        caller.wait()
