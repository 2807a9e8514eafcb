"""Plays the demo: a call over three nodes, its billing record, and a node that dies.

In: nothing but this machine. Out: a dozen lines with measured times; exit status 1 as soon as one
part of the story does not happen. Counterpart: `deploy/demo`, which installs the needed software.
"""

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from deploy.lab import Lab, LabError, Phone
from overlay.base.errors import SipfarmError
from overlay.control.client import ControlClient
from overlay.control.operator_messages import GetLocation, GetStatus, Location, Status
from overlay.control.proxy_messages import Authenticate, Locate, Located, Secrets
from overlay.records.targets import Reach

_PASSWORD = "wonderland"
_TALK_S = 2.0
_TOLD_WITHIN_S = 10.0
_POLL_S = 0.005
_COLUMNS = 100


def main() -> int:
    """Play the demo; returns the exit status."""
    keep = "--keep" in sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        _tell_and_clean_up(keep)
    except (SipfarmError, AssertionError, subprocess.SubprocessError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing is left behind", file=sys.stderr)
        return 130
    return 0


def _tell_and_clean_up(keep: bool) -> None:
    began_s = time.monotonic()
    lab = Lab.up(3)
    told = False
    try:
        say(
            f"Three nodes are one farm, {lab.farm}, after {time.monotonic() - began_s:.1f} s: "
            + ", ".join(f"{node.name} {node.address}" for node in lab.nodes)
            + "; each runs Kamailio, the overlay, Redis and PowerDNS."
        )
        tell(lab)
        told = True
    finally:
        if keep and told:
            say("The farm stays up: sipfarm lab status, … exec, … kill n2, … down.")
        else:
            # A second Ctrl-C must not leave half a lab behind.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            Lab.down()
    if not keep:
        say("The farm is gone again: no process, namespace or bridge is left.")


def tell(lab: Lab) -> None:
    """Play every part in turn; raises `LabError` or `AssertionError` at the part that fails."""
    add_subscribers(lab)
    # The story chooses the node that each phone finds for the farm's name, as DNS might have done.
    # So it decides which node gets which request.
    n1, n2, n3 = lab.nodes
    with (
        Phone(lab, "p1", "alice", _PASSWORD, names={lab.farm: n1.address}) as alice,
        Phone(
            lab,
            "p2",
            "bob",
            _PASSWORD,
            names={lab.farm: n3.address},
            outbound_proxy=f"sip:{n2.address};lr",
        ) as bob,
    ):
        register(lab, alice)
        call_id = call(lab, bob, alice)
        show_record(lab, call_id)
        lose_a_node(lab, bob, alice)


def add_subscribers(lab: Lab) -> None:
    """Add two subscribers at one node, and check that another node knows them."""
    for user in ("alice", "bob"):
        sipfarm(lab, "n1", "subscriber", "add", f"{user}@{lab.farm}", "--password", _PASSWORD)
    for node in lab.nodes:
        answer = lab.ask(node.name, Authenticate(aor=f"alice@{lab.farm}"))
        check(isinstance(answer, Secrets) and bool(answer.ha1), f"{node.name} knows no alice")
    say("Subscribers alice and bob are added at n1; n2 and n3 can check their passwords, too.")


def register(lab: Lab, alice: Phone) -> None:
    """Register alice's phone at n1, and check that n3 knows where it is."""
    began_s = time.monotonic()
    registered = alice.register()
    took_ms = (time.monotonic() - began_s) * 1000
    check(registered.code == 200, f"REGISTER was answered {registered.code} {registered.reason}")
    found = locate(lab, "n3", "alice")
    check(found.reach is Reach.FOUND, "n3 does not know where alice is")
    say(
        f"Alice's phone ({alice.address}, pjsua2) registers at n1 in {took_ms:.0f} ms; n3 "
        f"finds her at {found.bindings[0].contact}, held by {' '.join(sorted(found.replicas))}."
    )


def call(lab: Lab, bob: Phone, alice: Phone) -> str:
    """Let bob call alice through n2 and hang up through n3; returns the Call-ID."""
    began_s = time.monotonic()
    answered = bob.call(alice.aor)
    took_ms = (time.monotonic() - began_s) * 1000
    check(answered.state == "CONFIRMED", f"the call ended {answered.code} {answered.reason}")
    alice.wait("call", "CONFIRMED")
    say(f"Bob's phone ({bob.address}) calls alice through n2; she answers after {took_ms:.0f} ms.")
    time.sleep(_TALK_S)
    heard = bob.count_media().received
    bob.hang_up()
    ended = bob.wait("call", "DISCONNECTED")
    alice.wait("call", "DISCONNECTED")
    check(heard > 0, "bob heard nothing")
    say(
        f"They talk for {ended.duration_ms / 1000:.1f} s ({heard} RTP packets reached bob), and he "
        "hangs up: his phone sends the BYE to n3, which never saw this call before."
    )
    return answered.call_id


def show_record(lab: Lab, call_id: str) -> None:
    """Ask every node for the call's billing record, and show it."""
    records = {}
    for node in lab.nodes:
        found = sipfarm(lab, node.name, "cdr", "show", call_id)["calls"]
        check(len(found) == 1, f"{node.name} shows {len(found)} records of the call")
        records[node.name] = found[0]
    first = records["n1"]
    for name, record in records.items():
        for field in ("state", "duration_ms", "nodes", "event_ids", "hangup"):
            check(record[field] == first[field], f"{name} shows another {field}")
    check(first["state"] == "complete", f"the record is {first['state']}")
    check(list(first["nodes"]) == ["n2", "n3"], f"its events were written by {first['nodes']}")
    check(abs(first["duration_ms"] - _TALK_S * 1000) < 500, f"{first['duration_ms']} ms")
    say(
        f"The billing record, the same from n1, n2 and n3: {first['caller']} to {first['callee']}, "
        f"{first['state']}, {first['duration_ms'] / 1000:.3f} s, ended by the {first['hangup']}; "
        f"START written by {first['nodes'][0]}, STOP by {first['nodes'][1]}, "
        f"held by {' '.join(sorted(first['replicas']))}."
    )


def lose_a_node(lab: Lab, bob: Phone, alice: Phone) -> None:
    """Kill n1, where alice registered, and check that bob can still call her."""
    lab.kill("n1")
    killed_s = time.monotonic()
    until(lambda: states(lab, "n2")["n1"] == "dead", "n2 does not see that n1 is dead")
    seen_ms = (time.monotonic() - killed_s) * 1000
    say(f"n1 is killed; n2 knows it after {seen_ms:.0f} ms.")
    figures = [f"{name} in {lookup_us(lab, name, 'alice'):.0f} us" for name in ("n2", "n3")]
    say(f"Alice, who registered at n1, is still found: by {' and by '.join(figures)}.")
    began_s = time.monotonic()
    answered = bob.call(alice.aor)
    took_ms = (time.monotonic() - began_s) * 1000
    check(answered.state == "CONFIRMED", f"the call ended {answered.code} {answered.reason}")
    alice.wait("call", "CONFIRMED")
    bob.hang_up()
    bob.wait("call", "DISCONNECTED")
    record = sipfarm(lab, "n3", "cdr", "show", answered.call_id)["calls"][0]
    check(record["state"] == "complete", f"the second record is {record['state']}")
    say(
        f"Bob calls her again: she answers after {took_ms:.0f} ms, and the record is "
        f"{record['state']}, held by {' '.join(sorted(record['replicas']))}."
    )


def locate(lab: Lab, node: str, user: str) -> Location:
    """The bindings that `node` finds for a subscriber."""
    answer = lab.ask(node, GetLocation(aor=f"{user}@{lab.farm}"))
    assert isinstance(answer, Location)
    return answer


def lookup_us(lab: Lab, node: str, user: str) -> float:
    """How many us a node's daemon takes to tell a proxy where a subscriber is."""
    with ControlClient(lab.config(node).control_socket) as client:
        client.ask(GetStatus(), _TOLD_WITHIN_S)
        began_s = time.perf_counter()
        answer = client.ask(Locate(aor=f"{user}@{lab.farm}"), _TOLD_WITHIN_S)
        took_us = (time.perf_counter() - began_s) * 1e6
    assert isinstance(answer, Located)
    check(answer.reach is Reach.FOUND, f"{node} no longer finds {user}")
    return took_us


def states(lab: Lab, node: str) -> dict[str, str]:
    """The state of each node by its name, as `node` sees it."""
    answer = lab.ask(node, GetStatus())
    assert isinstance(answer, Status)
    return {each.name: each.state for each in answer.nodes}


def sipfarm(lab: Lab, node: str, *arguments: str) -> Any:
    """Run `sipfarm … --json` on a node; returns the decoded answer."""
    program = Path(sys.executable).with_name("sipfarm")
    config = str(lab.node(node).config)
    done = subprocess.run(
        [str(program), *arguments, "--config", config, "--json"],
        capture_output=True,
        text=True,
        timeout=_TOLD_WITHIN_S,
        check=False,
    )
    if done.returncode:
        raise LabError(f"sipfarm {' '.join(arguments)} at {node}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def until(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until the condition holds; raises `LabError` with the text `otherwise` if it does not
    in time."""
    end_s = time.monotonic() + _TOLD_WITHIN_S
    while not condition():
        check(time.monotonic() < end_s, f"{otherwise} after {_TOLD_WITHIN_S:.0f} s")
        time.sleep(_POLL_S)


def check(held: bool, otherwise: str) -> None:
    """Raise `LabError` with the text `otherwise` unless `held`."""
    if not held:
        raise LabError(otherwise)


_line = 0


def say(text: str) -> None:
    """Print the next numbered line of the story."""
    global _line
    _line += 1
    print(textwrap.fill(f"{_line:>2}. {text}", _COLUMNS, subsequent_indent="    "), flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
