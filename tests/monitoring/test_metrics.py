"""`/metrics` shows what docs/metrics.md says, and metrics behave as their type says, under load."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from deploy.docs.__main__ import ROOT
from deploy.docs.metrics import FAMILIES
from deploy.lab import Lab
from overlay.observe.metric_families import Kind
from tests.farm.asking import all_records, eventually, sipfarm_json
from tests.farm.rolling import lab_under_load
from tests.monitoring.series import History, fetch, shown, undeclared, values

RATE: Final = 10
SAMPLES_EVERY_S: Final = 0.2
OF_KAMAILIO: Final = ("kamailio_", "sipfarm_proxy_")
"""How the names of figures begin that begin anew with Kamailio."""
MUST_RISE: Final = {
    "kamailio_core_rcv_request_total",
    "kamailio_core_reply_total",
    "kamailio_core_request_total",
    "kamailio_sl_reply_total",
    "kamailio_tcp_established_total",
    "process_cpu_seconds_total",
    "sipfarm_call_events_total",
    "sipfarm_commits_total",
    "sipfarm_committed_rows_total",
    "sipfarm_control_request_duration_seconds_bucket",
    "sipfarm_control_request_duration_seconds_count",
    "sipfarm_control_request_duration_seconds_sum",
    "sipfarm_control_requests_total",
    "sipfarm_peer_requests_total",
    "sipfarm_proxy_events_written_total",
    "sipfarm_proxy_registers_done_total",
    "sipfarm_proxy_transactions_total",
    "sipfarm_redis_writes_total",
}


def metrics_url(lab: Lab, node: str, page: str = "metrics") -> str:
    settings = lab.config(node).metrics
    return f"http://{settings.address}:{settings.port}/{page}"


def figures(lab: Lab, node: str) -> dict[str, float]:
    """A node's figures that have no labels, by name."""
    said = values(shown(fetch(metrics_url(lab, node))))
    return {name: value for (name, labels), value in said.items() if not labels}


class Watched:
    """All nodes' figures, taken again and again while a test goes on."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._names = [node.name for node in lab.nodes]
        self._lock = threading.Lock()
        self.histories = {name: History(FAMILIES) for name in self._names}
        self.ended: list[History] = []
        self.undeclared: dict[str, None] = {}

    def look(self) -> None:
        """Once."""
        with self._lock:
            for name, history in self.histories.items():
                metrics = shown(fetch(metrics_url(self._lab, name)))
                history.add(metrics)
                if len(metrics) == len(FAMILIES):
                    self.undeclared |= dict.fromkeys(undeclared(metrics, FAMILIES))

    @contextmanager
    def new_kamailio(self, node: str) -> Iterator[None]:
        """A node gets another Kamailio: its counts begin anew, and those of nobody else."""
        with self._lock:
            yield
            before = self.histories[node]
            self.ended.append(before)
            self.histories[node] = before.without(OF_KAMAILIO)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look as often as there is time for."""
        failures: list[BaseException] = []
        stop = threading.Event()

        def run() -> None:
            try:
                while not stop.wait(SAMPLES_EVERY_S):
                    self.look()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if failures:
            raise failures[0]


def test_figures_are_as_declared_and_behave_as_their_types_say(breakable_lab: Lab) -> None:
    """While phones call and register, and each part of a node but the daemon is started anew."""
    lab = breakable_lab
    watched = Watched(lab)
    with lab_under_load(
        lab, calls_per_s=RATE, registers_per_s=RATE, transports=("udp", "tcp", "tls")
    ) as tally:
        with watched.watching():
            go_on(lambda: tally.asked["BYE"])
            lab.kill("n1", "redis")
            eventually(lambda: figures(lab, "n1")["sipfarm_redis_up"] == 0, "n1 has no Redis")
            lab.start("n1", "redis")
            eventually(lambda: figures(lab, "n1")["sipfarm_redis_up"] == 1, "n1 has Redis again")
            lab.stop("n3", "pdns")
            lab.start("n3", "pdns")
            send_nonsense(lab, "n3")
            with watched.new_kamailio("n2"):
                before = sent_on(lab, "n2")
                lab.kill("n2", "kamailio")
                lab.start("n2", "kamailio")
                eventually(lambda: 0 < sent_on(lab, "n2") < before, "n2 has a new Kamailio")
            go_on(lambda: tally.asked["BYE"])
            every_node_signs(lab)
        watched.look()
    histories = [*watched.histories.values(), *watched.ended]
    assert [each for history in histories for each in history.misbehaving()] == []
    assert list(watched.undeclared) == []
    risen = set[str]().union(*(history.risen() for history in histories))
    assert MUST_RISE - risen == set()
    assert figures(lab, "n3")["sipfarm_control_frames_refused_total"] >= 1
    every_call_ends(lab, tally.prefix, tally.asked["INVITE"])


def go_on(count: Callable[[], int]) -> None:
    """Wait until some more calls have ended."""
    enough = count() + 3 * RATE
    eventually(lambda: count() >= enough, "calls go on", 60.0)


def every_node_signs(lab: Lab) -> None:
    """Wait for two blocks of events of each node: between two of them, what waits to be signed only
    grows, and would be taken for a counter."""
    before = {node.name: blocks(lab, node.name) for node in lab.nodes}
    eventually(
        lambda: all(blocks(lab, name) >= signed + 2 for name, signed in before.items()),
        "every node signs what it wrote",
        60.0,
    )


def blocks(lab: Lab, node: str) -> float:
    """Signed blocks of a node since its start."""
    return figures(lab, node)["sipfarm_blocks_signed_total"]


def sent_on(lab: Lab, node: str) -> float:
    """Requests that a node's Kamailio sent on since its start; 0 if it does not say."""
    return figures(lab, node).get("sipfarm_proxy_transactions_total", 0)


def is_ready(lab: Lab, node: str) -> bool:
    try:
        return fetch(metrics_url(lab, node, "ready")) == "ready\n"
    except OSError:
        return False


def send_nonsense(lab: Lab, node: str) -> None:
    """Something that is no request, to the control socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sending:
        sending.settimeout(10)
        sending.connect(str(lab.config(node).control_socket))
        sending.sendall(b"\xff" * 64)
        assert sending.recv(1) == b""


def every_call_ends(lab: Lab, prefix: str, placed: int) -> None:
    """No node counts as open what `cdr list --open` does not name."""

    def complete() -> bool:
        found = all_records(lab, "n2", prefix)
        return [each.state for each in found] == ["complete"] * placed

    eventually(complete, "every call has its end")
    named = sipfarm_json(lab, "n1", "cdr", "list", "--open", "--since", "1h")["calls"]
    assert not [call for call in named if call["call_id"].startswith(prefix)]

    def counted() -> dict[str, float]:
        return {node.name: figures(lab, node.name)["sipfarm_open_calls"] for node in lab.nodes}

    eventually(lambda: max(counted().values()) <= len(named), f"{len(named)} calls are open")


def test_a_readiness_probe_is_not_counted(lab: Lab) -> None:
    """Its record is a node's own, and none of a phone."""
    names = [node.name for node in lab.nodes]
    counts = (
        "sipfarm_bindings",
        "sipfarm_hot_records",
        "sipfarm_leased_keys",
        "sipfarm_redis_writes_total",
        "sipfarm_registrations_weak_total",
        "sipfarm_read_repairs_total",
    )

    def now() -> dict[str, list[float]]:
        said = [figures(lab, name) for name in names]
        return {name: [each[name] for each in said] for name in counts}

    def probes() -> float:
        """A replica is told at once, or a little later with what else there is."""
        said = values(shown(fetch(metrics_url(lab, "n2"))))
        kinds = ((("request", kind),) for kind in ("Store", "StoreMany"))
        return sum(said["sipfarm_peer_requests_total", kind] for kind in kinds)

    assert all(is_ready(lab, name) for name in names)
    before, begun = now(), probes()

    def probed() -> bool:
        assert all(is_ready(lab, name) for name in names)
        time.sleep(0.1)
        return probes() >= begun + 6

    eventually(probed, "probes are written to other nodes")
    after = now()
    # Phones of other tests may have gone meanwhile.
    after["sipfarm_bindings"] = [
        max(here, there)
        for here, there in zip(before["sipfarm_bindings"], after["sipfarm_bindings"], strict=True)
    ]
    assert after == before


def test_promtool_and_the_reference_agree(lab: Lab) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: run ./deploy/install tests"
    reference = Path(ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    for node in lab.nodes:
        exposition = fetch(metrics_url(lab, node.name))
        done = subprocess.run(
            [promtool, "check", "metrics"],
            input=exposition,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        metrics = shown(exposition)
        assert undeclared(metrics, FAMILIES) == []
        assert [name for name in metrics if f"| `{name}` |" not in reference] == []
        unknown = metrics["sipfarm_kamailio_unknown_statistics"].samples
        assert [sample.value for sample in unknown] == [0]
    series = sum(len(metric.samples) for metric in metrics.values())
    counters = sum(family.kind is Kind.COUNTER for family in FAMILIES.values())
    print(f"{len(metrics)} families, {counters} of them counters; {series} series of one node")


@pytest.mark.parametrize("page", ["live", "ready"])
def test_the_pages_for_whoever_starts_nodes(lab: Lab, page: str) -> None:
    assert fetch(metrics_url(lab, "n1", page)) == f"{page}\n"
