"""Asks nodes of the lab, and waits for conditions that are about to come true."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deploy.lab import Lab
from overlay.base.errors import SipfarmError
from overlay.control.operator_messages import (
    Calls,
    GetLocation,
    GetStatus,
    ListCalls,
    Location,
    ShowCall,
    Status,
)
from overlay.records.call_record import CallRecord
from tests.sip.credentials import PASSWORD

PROGRAM = Path(sys.executable).with_name("sipfarm")
_POLL_S = 0.02
PATIENT = {"proxy.shed_delay_ms": 500}
"""Settings of the tests' lab: all its nodes share two cores with the tests, and what holds them up
is to refuse no call."""


def sipfarm(*arguments: str, timeout_s: float = 30.0) -> "subprocess.CompletedProcess[str]":
    """The command `sipfarm`, run to its end."""
    return subprocess.run(
        [str(PROGRAM), *arguments], capture_output=True, text=True, timeout=timeout_s, check=False
    )


def sipfarm_json(lab: Lab, node: str, *arguments: str) -> Any:
    """What `sipfarm … --json` says at a node."""
    done = sipfarm(*arguments, "--config", str(lab.node(node).config), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def add_subscriber(lab: Lab, user: str) -> None:
    """Add a subscriber with the tests' password."""
    sipfarm_json(lab, "n1", "subscriber", "add", f"{user}@{lab.farm}", "--password", PASSWORD)


def lab_of_three(settings: Mapping[str, object]) -> Lab:
    """A new lab of three nodes with the tests' four subscribers."""
    lab = Lab.up(3, settings=settings)
    for user in ("alice", "bob", "carol", "dave"):
        add_subscriber(lab, user)
    return lab


def eventually(condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> float:
    """Wait until the condition holds and return how many seconds that took.

    A node that does not answer is one more reason to wait.
    """
    began_s = time.monotonic()
    reason = ""
    while True:
        try:
            if condition():
                return time.monotonic() - began_s
        except SipfarmError as error:
            reason = f" ({error})"
        assert time.monotonic() - began_s < timeout_s, f"not within {timeout_s} s: {what}{reason}"
        time.sleep(_POLL_S)


def locate(lab: Lab, node: str, user: str) -> Location:
    """What a node finds of a subscriber."""
    answer = lab.ask(node, GetLocation(aor=f"{user}@{lab.farm}"))
    assert isinstance(answer, Location)
    return answer


def states(lab: Lab, node: str) -> dict[str, str]:
    """The state of each node, as one of them sees it."""
    answer = lab.ask(node, GetStatus())
    assert isinstance(answer, Status)
    return {each.name: each.state for each in answer.nodes}


def records(lab: Lab, node: str, call_id: str) -> tuple[CallRecord, ...]:
    """The billing records of a call, as a node finds them."""
    answer = lab.ask(node, ShowCall(call_id=call_id))
    assert isinstance(answer, Calls)
    return answer.calls


def one_record(lab: Lab, call_id: str) -> CallRecord:
    """The one record of a call, which every running node must find alike."""
    found = _found(lab, call_id)
    running = list(found)
    for name, each in found.items():
        assert len(each) == 1, f"{name} finds {len(each)} records"
    first = found[running[0]][0]
    for name, (record,) in found.items():
        assert record.event_ids == first.event_ids, f"{name} finds other events"
        assert record.duration_ms == first.duration_ms, f"{name} finds another duration"
    return first


def ended_record(lab: Lab, call_id: str) -> CallRecord:
    """The one record of a call that a pjsip phone hung up: it tells so before its BYE arrives, and
    that may be while the nodes are asked."""

    def has_ended() -> bool:
        found = _found(lab, call_id)
        return all(record.state != "open" for each in found.values() for record in each)

    eventually(has_ended, "the call's BYE is on record")
    return one_record(lab, call_id)


def _found(lab: Lab, call_id: str) -> dict[str, tuple[CallRecord, ...]]:
    """What each node that is alive finds of a call."""
    running = [name for name, state in states(lab, _running(lab)).items() if state == "alive"]
    return {name: records(lab, name, call_id) for name in running}


def _running(lab: Lab) -> str:
    for node in lab.describe().nodes:
        if any(each.name == "overlay" and each.state == "running" for each in node.processes):
            return node.name
    raise AssertionError("no node is running")


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
