"""A phone that lost its connection in a call is reached over its new one."""

import pytest

from deploy.lab import Lab
from tests.farm.asking import add_subscriber, eventually, one_record, states
from tests.farm.calling import call
from tests.farm.raw_phone import RawPhone


@pytest.fixture(params=["killed", "closed"])
def lost(request: pytest.FixtureRequest) -> str:
    """How the connection ends: with its node, or alone."""
    return str(request.param)


@pytest.fixture
def subscribers(breakable_lab: Lab) -> Lab:
    for user in ("detour-a", "detour-b"):
        add_subscriber(breakable_lab, user)
    return breakable_lab


@pytest.mark.parametrize("by", ["n1", "n3"])
def test_a_bye_finds_the_phone_on_its_new_connection(subscribers: Lab, lost: str, by: str) -> None:
    lab = subscribers
    if lost == "killed" and by == "n1":
        by = "n2"
    caller = RawPhone(lab, "p3", "detour-a")
    before = RawPhone(lab, "p4", "detour-b", tcp_to="n1")
    assert before.register("n1", ";expires=300").code == 200
    calling, called = call(caller, before, "n3")
    before.close()
    if lost == "killed":
        lab.kill("n1")
        eventually(lambda: states(lab, "n3").get("n1") == "dead", "n3 knows that n1 is dead")
    after = RawPhone(lab, "p4", "detour-b", tcp_to="n2")
    try:
        # The same Contact as before: what the phone is called by in the dialog.
        assert after.register("n2", ";expires=300", uri=before.contact).code == 200
        called.phone = after
        assert calling.ask(by, "BYE", called).code == 200
        assert one_record(lab, calling.call_id).hangup == "caller"
        assert after.register("n2", ";expires=0", uri=before.contact).code == 200
    finally:
        after.close()
        caller.close()
