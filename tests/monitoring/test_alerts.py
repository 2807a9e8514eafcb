"""Each alert that pages, provoked by its fault in a real farm: it and its end are told in time.

The rules are those of grafana/, with every duration divided by `TIMES`.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml

from deploy.lab import Lab
from grafana import slo
from grafana.rules import pages
from grafana.rules.__main__ import rules_text
from grafana.rules.alertmanager import configuration
from tests.farm.asking import eventually, sipfarm, sipfarm_json
from tests.farm.calling import call
from tests.farm.raw_phone import RawPhone
from tests.monitoring.alerting import Alertmanager, Receiver
from tests.monitoring.prometheus import Prometheus, documented

TIMES: Final = 60.0
LEVELS: Final = slo.sped_up(slo.read(), TIMES)
PAGES: Final = {alert.name: alert for alert in pages.alerts(slo.read())}
LEEWAY_S: Final = 20.0
"""The farm, Prometheus and the test share two cores; and things are asked for once a second, which
is not 60 times as often as every 15."""
SCRAPE_S: Final = 1
"""Between two looks at a node, and for nodes."""
PROVOKED: Final = {
    "SipfarmCallsFailing",
    "SipfarmFarmDown",
    "SipfarmNodesDown",
    "SipfarmPhonesUnreachable",
    "SipfarmRecordsLate",
    "SipfarmRecordsUnsafe",
    "SipfarmRegistrationsFailing",
    "SipfarmTrunkDown",
}


@dataclass(frozen=True, kw_only=True)
class Watch:
    """All that watches a lab."""

    prometheus: Prometheus
    alertmanager: Alertmanager
    receiver: Receiver

    def paged(self, name: str, since_s: float) -> None:
        """Wait for the page, at most for as long as its runbook says."""
        within_s = slo.seconds(PAGES[name].seen_within) / TIMES + LEEWAY_S
        left_s = since_s + within_s - time.monotonic()
        eventually(lambda: self.receiver.fires(name), f"{name} pages", max(left_s, 1.0))
        told = self.receiver.last(name)
        assert told is not None
        print(f"{name}: {told.at_s - since_s:.1f} s of {within_s:.1f} s; {told.annotations}")
        assert told.receiver == "page"
        assert "<" not in told.annotations["summary"]
        assert told.annotations["runbook_url"] == f"docs/runbooks/{name}.md"

    def over(self, name: str) -> None:
        """Wait for its end."""
        eventually(lambda: not self.receiver.fires(name), f"{name} is over", 60.0)


@pytest.fixture
def watch(breakable_lab: Lab, tmp_path: Path) -> Iterator[Watch]:
    """Prometheus with the rules, Alertmanager, and whoever is woken."""
    rules = tmp_path / "rules.yml"
    rules.write_text(rules_text(LEVELS), encoding="utf-8")
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        alertmanager = stack.enter_context(
            Alertmanager(tmp_path, yaml.safe_dump(configuration(LEVELS, receiver.url)))
        )
        config = {
            "global": {"evaluation_interval": LEVELS.pace.evaluate},
            "rule_files": [str(rules)],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [alertmanager.target]}]}]
            },
            **yaml.safe_load(documented(breakable_lab, SCRAPE_S)),
        }
        prometheus = stack.enter_context(Prometheus(tmp_path, yaml.safe_dump(config)))
        names = {node.name for node in breakable_lab.nodes}
        eventually(
            lambda: {each["node"] for each, up in prometheus.query("up") if up} == names,
            "all nodes are scraped",
        )
        yield Watch(prometheus=prometheus, alertmanager=alertmanager, receiver=receiver)


def test_every_alert_that_pages_is_provoked_here() -> None:
    assert set(PAGES) == PROVOKED


def test_a_daemon_that_stalls(breakable_lab: Lab, watch: Watch) -> None:
    """Calls and registrations at its node fail each time. By TCP, as nothing is repeated there."""
    lab = breakable_lab
    nobody = f"sip:nobody@{lab.farm}"
    with ExitStack() as stack:
        alice = stack.enter_context(RawPhone(lab, "p1", "alice", tcp_to="n1"))
        bob = stack.enter_context(RawPhone(lab, "p2", "bob", tcp_to="n1"))
        began_s = time.monotonic()
        with (
            stalling(lab, "n1"),
            again_and_again(lambda: alice.ask("n1", "INVITE", nobody)),
            again_and_again(lambda: bob.register("n1")),
        ):
            watch.paged("SipfarmCallsFailing", began_s)
            watch.paged("SipfarmRegistrationsFailing", began_s)
    watch.over("SipfarmCallsFailing")
    watch.over("SipfarmRegistrationsFailing")


def test_phones_that_lost_their_connections(breakable_lab: Lab, watch: Watch) -> None:
    lab = breakable_lab
    with ExitStack() as stack:
        carol = stack.enter_context(RawPhone(lab, "p3", "carol"))
        with RawPhone(lab, "p4", "dave", tcp_to="n2", over="tls") as dave:
            assert dave.register("n2").code == 200
        began_s = time.monotonic()
        with again_and_again(lambda: carol.ask("n1", "INVITE", dave.aor)):
            watch.paged("SipfarmPhonesUnreachable", began_s)
    watch.over("SipfarmPhonesUnreachable")


def test_a_trunk_without_a_gateway_that_answers(breakable_lab: Lab, watch: Watch) -> None:
    lab = breakable_lab
    nobody = f"{lab.phone('p6').address}:5099"
    began_s = time.monotonic()
    sipfarm_json(lab, "n1", "trunk", "add", "lost", "--prefixes", "+49", "--gateway", nobody)
    try:
        watch.paged("SipfarmTrunkDown", began_s)
        eventually(
            lambda: set(watch.alertmanager.states("SipfarmGatewayDown").values()) == {"suppressed"},
            "the one gateway is no news beside the trunk",
        )
    finally:
        sipfarm_json(lab, "n1", "trunk", "remove", "lost")
    watch.over("SipfarmTrunkDown")


def test_a_node_out_of_service_may_be_stopped(breakable_lab: Lab, watch: Watch) -> None:
    lab = breakable_lab
    config = str(lab.node("n3").config)
    assert sipfarm("node", "drain", "--wait", "60", "--config", config).returncode == 0
    lab.stop("n3")
    eventually(
        lambda: watch.alertmanager.states("SipfarmNodeDown") == {"n3": "suppressed"},
        "the stopped node is told to nobody",
    )
    assert watch.receiver.told("SipfarmNodeDown") == []
    assert watch.receiver.told("SipfarmNodeDrained") == []


def test_nodes_that_die(breakable_lab: Lab, watch: Watch) -> None:
    """First two of three: what the third writes is on its disk alone. Then the last one."""
    lab = breakable_lab
    with ExitStack() as stack:
        alice = stack.enter_context(RawPhone(lab, "p1", "alice"))
        bob = stack.enter_context(RawPhone(lab, "p2", "bob"))
        assert bob.register("n1").code == 200
        began_s = time.monotonic()
        lab.kill("n2")
        lab.kill("n3")
        with again_and_again(lambda: call(alice, bob, "n1")):
            watch.paged("SipfarmNodesDown", began_s)
            watch.paged("SipfarmRecordsUnsafe", began_s)
        watch.paged("SipfarmRecordsLate", began_s)
    eventually(lambda: watch.receiver.fires("SipfarmNodeDown"), "there are tickets")
    began_s = time.monotonic()
    lab.kill("n1")
    watch.paged("SipfarmFarmDown", began_s)
    lab.restore()
    for name in ("FarmDown", "NodesDown", "RecordsUnsafe", "RecordsLate"):
        watch.over(f"Sipfarm{name}")


@contextmanager
def stalling(lab: Lab, node: str) -> Iterator[None]:
    """The node's daemon stands still most of the time."""

    def stall() -> None:
        lab.freeze(node, "overlay")
        time.sleep(0.6)
        lab.thaw(node, "overlay")
        time.sleep(0.4)

    with again_and_again(stall):
        yield


@contextmanager
def again_and_again(do: Callable[[], object]) -> Iterator[None]:
    """In another thread, whether a phone is answered or not."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.05):
            with contextlib.suppress(AssertionError, OSError):
                do()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
