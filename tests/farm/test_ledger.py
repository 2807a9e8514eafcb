"""Hundreds of calls while nodes die, freeze and are cut off: each is billed once, and whole."""

import collections
import time
import uuid

from deploy.lab import Lab
from overlay.control.messages import (
    CallRecord,
    Calls,
    ContactChange,
    ListCalls,
    Register,
    Registered,
    RegisterOutcome,
)
from tests.farm.asking import eventually, states
from tests.farm.sipp import Sipp

CALLS = 500
RATE = 25
TALK_MS = 1_000
"""How long the scenario `caller` talks."""


def all_records(lab: Lab, node: str, prefix: str) -> list[CallRecord]:
    """The billing records of every call whose Call-ID begins with `prefix`."""
    found: list[CallRecord] = []
    cursor = ""
    while True:
        page = lab.ask(node, ListCalls(limit=200, cursor=cursor), 10.0)
        assert isinstance(page, Calls)
        assert page.silent == ()
        found += [record for record in page.calls if record.call_id.startswith(prefix)]
        cursor = page.cursor
        if not cursor:
            return found


def test_no_call_is_lost_or_doubled_whatever_happens_to_the_nodes(breakable_lab: Lab) -> None:
    """The INVITEs go through n2, the BYEs through n3; sipp repeats what is not answered."""
    lab, prefix = breakable_lab, uuid.uuid4().hex
    callee = lab.phone("p1").address
    contact = ContactChange(uri=f"sip:ledger@{callee}:5080", expires_s=3600)
    request = Register(aor=f"ledger@{lab.farm}", call_id="ledger", cseq=1, contacts=(contact,))
    registered = lab.ask("n1", request)
    assert isinstance(registered, Registered)
    assert registered.outcome is RegisterOutcome.DONE
    to, bye_via = f"{lab.node('n2').address}:5060", lab.node("n3").address
    with (
        Sipp(lab, "p1", "callee", port=5080, calls=CALLS, timeout_s=90),
        Sipp(
            lab,
            "p2",
            "caller",
            to=to,
            port=5080,
            timeout_s=90,
            call_id=prefix,
            calls=CALLS,
            rate=RATE,
            bye_via=bye_via,
            service="ledger",
        ) as caller,
    ):
        began_s = time.monotonic()

        def after(seconds: float) -> None:
            """Let calls go on until so long after the beginning."""
            time.sleep(max(0.0, began_s + seconds - time.monotonic()))

        after(3)
        lab.kill("n3", "overlay")
        after(5)
        lab.start("n3", "overlay")
        after(8)
        lab.freeze("n1")
        after(10)
        lab.thaw("n1")
        after(12)
        lab.cut(["n3"])
        after(14)
        lab.heal()
        after(16)
        lab.kill("n2", "overlay")
        after(17)
        lab.start("n2", "overlay")
        caller.wait()
    eventually(lambda: set(states(lab, "n1").values()) == {"alive"}, "the farm is whole again")
    for node in ("n1", "n2", "n3"):
        found = all_records(lab, node, prefix)
        assert collections.Counter(record.state for record in found) == {"complete": CALLS}
        assert len({record.call_id for record in found}) == CALLS
        assert all(record.duration_ms >= TALK_MS for record in found)
        assert all(len(record.event_ids) == 2 for record in found)
