"""Only a node's Kamailio dies or freezes: within a second, phones go to other nodes, and later
back.

Three nodes, the phones and the test share two cores, so `LEEWAY_S` more passes here. The figures
are printed (`pytest -s`).
"""

import time
import urllib.error
import urllib.request
from collections.abc import Callable

import dns.message
import dns.query
import pytest

from deploy.lab import Lab
from overlay.control.operator_messages import GetStatus, Status
from overlay.kamailio.options_ping import why_silent
from overlay.records.node_status import NodeStatus
from tests.farm.asking import all_records, eventually, sipfarm
from tests.farm.rolling import lab_under_load
from tests.sip.rolling_load import Tally

RATE = 20
TRANSPORTS = ("udp", "tcp", "tls")
WITHIN_S = 1.0
LEEWAY_S = 0.5
_START_S = 20.0
_RECORDED_S = 30.0


def named(lab: Lab, node: str) -> set[str]:
    """The nodes that a node's DNS tells phones of."""
    question = dns.message.make_query(f"_sip._udp.{lab.farm}", "SRV")
    answer = dns.query.udp(question, lab.node(node).address, timeout=2.0)
    targets = {data.target.to_text() for records in answer.answer for data in records}
    return {target.partition(".")[0] for target in targets}


def ready(lab: Lab, node: str) -> tuple[int, str]:
    """What `/ready` of a node says."""
    url = f"http://{lab.node(node).address}:{lab.config(node).metrics.port}/ready"
    try:
        with urllib.request.urlopen(url, timeout=5) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def status_of(lab: Lab, asked: str, node: str) -> NodeStatus:
    """How a node is, as another one tells."""
    answer = lab.ask(asked, GetStatus())
    assert isinstance(answer, Status)
    return next(each for each in answer.nodes if each.name == node)


def told_by_all(lab: Lab, expected: set[str], since_s: float) -> dict[str, float]:
    """When each node's DNS first named exactly these."""
    took_s: dict[str, float] = {}

    def look() -> bool:
        for node in lab.nodes:
            if node.name not in took_s and named(lab, node.name) == expected:
                took_s[node.name] = time.monotonic() - since_s
        return len(took_s) == len(lab.nodes)

    eventually(look, f"every node names {sorted(expected)}")
    return took_s


def shown(took_s: dict[str, float]) -> str:
    return ", ".join(f"{name} {each * 1000:.0f} ms" for name, each in sorted(took_s.items()))


def away_and_back(
    lab: Lab, away: Callable[[], None], back: Callable[[], None], reason: str
) -> None:
    """n1's Kamailio goes and comes: DNS, `/ready` and status follow."""
    everybody = {node.name for node in lab.nodes}
    eventually(lambda: named(lab, "n1") == everybody, "all serve")
    began_s = time.monotonic()
    away()
    out_s = told_by_all(lab, everybody - {"n1"}, began_s)
    code, text = ready(lab, "n1")
    assert (code, text.startswith(f"not ready: Kamailio: no answer to OPTIONS{reason}")) == (
        503,
        True,
    ), text
    itself = status_of(lab, "n2", "n1")
    assert (itself.state, itself.draining) == ("alive", False)
    assert (itself.ready, itself.proxy, len(itself.unready)) == (False, "away", 1)
    assert ready(lab, "n2") == (200, "ready\n")
    back()
    assert why_silent(lab.config("n1"), _START_S) == ""
    back_s = told_by_all(lab, everybody, time.monotonic())
    eventually(lambda: ready(lab, "n1") == (200, "ready\n"), "n1 is ready")
    print(f"out of DNS: {shown(out_s)}; back: {shown(back_s)}")
    assert max(out_s.values()) < WITHIN_S + LEEWAY_S
    assert max(back_s.values()) < WITHIN_S + LEEWAY_S


@pytest.mark.parametrize(
    ("verb", "undo", "reason"),
    [("kill", "start", ": connection refused"), ("freeze", "thaw", " for 0.")],
)
def test_no_call_is_lost_with_a_kamailio(
    breakable_lab: Lab, verb: str, undo: str, reason: str
) -> None:
    lab = breakable_lab
    with lab_under_load(
        lab, calls_per_s=RATE, registers_per_s=RATE, transports=TRANSPORTS
    ) as tally:
        eventually(lambda: tally.asked["BYE"] > 0, "calls go on")
        away_and_back(
            lab,
            lambda: getattr(lab, verb)("n1", "kamailio"),
            lambda: getattr(lab, undo)("n1", "kamailio"),
            reason,
        )
        after = tally.asked["BYE"] + 2 * RATE
        eventually(lambda: tally.asked["BYE"] > after, "calls go on")
    print(f"asked: {dict(tally.asked)}; senders: {dict(tally.counts)}; failed: {len(tally.failed)}")
    assert tally.failed == [], tally.refusals
    assert tally.counts["moved"] + tally.counts["repeated"] > 0, "nobody noticed"
    _all_recorded(lab, tally)


def _all_recorded(lab: Lab, tally: Tally) -> None:
    placed = tally.asked["INVITE"]

    def recorded() -> bool:
        found = all_records(lab, "n2", tally.prefix)
        return [each.state for each in found] == ["complete"] * placed

    eventually(recorded, f"all {placed} calls are on record, complete", _RECORDED_S)


def test_with_no_kamailio_at_all_every_node_is_named(breakable_lab: Lab) -> None:
    lab = breakable_lab
    everybody = {node.name for node in lab.nodes}
    for node in lab.nodes:
        lab.kill(node.name, "kamailio")
    eventually(
        lambda: all(status_of(lab, "n1", name).proxy == "away" for name in everybody), "all away"
    )
    assert all(named(lab, name) == everybody for name in everybody)


def test_the_command_waits_for_kamailio(breakable_lab: Lab) -> None:
    lab = breakable_lab
    ask = ("node", "kamailio-ready", "--config", str(lab.node("n3").config))
    assert sipfarm(*ask).returncode == 0
    lab.kill("n3", "kamailio")
    done = sipfarm(*ask, "--json")
    assert (done.returncode, '"ready": false' in done.stdout) == (3, True)
    lab.start("n3", "kamailio")
    done = sipfarm(*ask, "--wait", str(_START_S))
    assert (done.returncode, done.stdout) == (0, "Kamailio answers\n")


def test_a_kamailio_that_is_about_to_stop_answers_and_is_in_nobodys_dns(
    breakable_lab: Lab,
) -> None:
    lab = breakable_lab
    everybody = {node.name for node in lab.nodes}
    config = ("--config", str(lab.node("n2").config))
    eventually(lambda: named(lab, "n1") == everybody, "all serve")
    began_s = time.monotonic()
    done = sipfarm("node", "withdraw", *config)
    took_s = time.monotonic() - began_s
    assert (done.returncode, done.stdout) == (0, "no requests come any more\n"), done.stderr
    # Nobody calls: a second of silence is enough.
    assert took_s < lab.config("n2").proxy.stop_s
    told_by_all(lab, everybody - {"n2"}, began_s)
    assert why_silent(lab.config("n2"), 0.0) == ""
    assert status_of(lab, "n1", "n2").unready == ("Kamailio: it is about to be stopped",)
    lab.stop("n2", "kamailio")
    lab.start("n2", "kamailio")
    told_by_all(lab, everybody, time.monotonic())
