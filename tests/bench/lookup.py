"""P4: how long a lookup takes, hot in a KEMI worker and cold from the farm.

Cold: a daemon is asked, one after another, for subscribers that its node never looked up, as a
proxy worker asks. It reads R=2 replicas. Hot: a worker finds what it has read before, as long as
the daemon has not said that it changed. The first time, the worker reads the node's Redis and
decodes the entry. Each round looks up other subscribers, at the next node.
"""

import json
import socket
from contextlib import ExitStack
from pathlib import Path

import msgspec
from bench import asking, farm
from bench.asker import Job, Question, address_of_record
from bench.network import Host
from bench.peers import dht
from bench.plan import Plan
from bench.processes import MeasureError, running, wait_for
from bench.reading import Reading, each_percentile, percentile
from msgspec.structs import replace

from deploy.lab import Lab
from deploy.lab.services import KAMAILIO, command_of
from overlay.config.config import Config
from overlay.identity import files
from proxy import render
from tests.sip.message import encoded, new_branch, request, via

_SETTINGS = {"proxy.authenticate": False, "proxy.workers": 1}
_LOOKUPS_PER_SECOND = 200
"""How many a round has, by the plan's seconds."""
_HOT_WITHIN_S = 30.0
_PORT = 5090
_REQUEST = encoded(
    request(
        "OPTIONS",
        "sip:measure@farm.test",
        via=via("UDP", "10.77.0.1:5099", new_branch(), rport=False),
        sender="<sip:m@farm.test>;tag=m",
        receiver="<sip:m@farm.test>",
        call_id="m",
        cseq=1,
    )
)


def run(plan: Plan) -> list[Reading]:
    """Measure; raises `MeasureError` or `LabError` when that is not possible."""
    count = max(50, plan.count(_LOOKUPS_PER_SECOND))
    hot_us, redis_us, cold_us, cold_p99_us = [], [], [], []
    with ExitStack() as stack:
        ours = stack.enter_context(farm.farm(plan.nodes, _SETTINGS))
        every_socket = tuple(str(path) for path in ours.control_sockets)
        for number in range(plan.rounds):
            names = f"round{number}-"
            registering = Job(
                question=Question.REGISTER,
                sockets=every_socket,
                connections=8,
                count=count,
                names=names,
            )
            asking.ask(registering)
            at = number % plan.nodes
            one = Job(
                question=Question.LOCATE,
                sockets=(every_socket[at],),
                connections=1,
                count=count,
                names=names,
            )
            cold = asking.ask(one).latencies_us
            cold_us.append(percentile(cold, 0.5))
            cold_p99_us.append(percentile(cold, 0.99))
            hot = _hot_latencies_us(ours.nodes[at], plan.work_dir, names, count)
            hot_us.append(percentile(hot.kept_us, 0.5))
            redis_us.append(percentile(hot.redis_us, 0.5))
    peers = {
        kind: [dht.measure(kind, plan.nodes, count, 0).read_us for _ in range(plan.rounds)]
        for kind in dht.KINDS
    }
    return [
        Reading(name="hot p50", unit="us", goal=60.0, ours=tuple(hot_us)),
        Reading(name="hot p50, from Redis", unit="us", goal=60.0, ours=tuple(redis_us)),
        Reading(
            name="cold p50",
            unit="us",
            goal=1_000.0,
            ours=tuple(cold_us),
            peers=each_percentile(peers, 0.5),
            note=dht.NOTE,
        ),
        Reading(
            name="cold p99",
            unit="us",
            goal=5_000.0,
            ours=tuple(cold_p99_us),
            peers=each_percentile(peers, 0.99),
            note=dht.NOTE,
        ),
    ]


class Hot(msgspec.Struct, frozen=True):
    """What a worker needed for each lookup."""

    redis_us: list[float]
    """The first time."""
    kept_us: list[float]
    """The second time."""
    missing: int


def _hot_latencies_us(node: Host, work_dir: Path, names: str, count: int) -> Hot:
    """What a worker on this node needs for each of these, which the node has in its cache."""
    job, result = work_dir / "job.json", work_dir / "hot.json"
    result.unlink(missing_ok=True)
    aors = [address_of_record(names, number) for number in range(count)]
    job.write_text(json.dumps({"aors": aors, "result": str(result)}))
    lab = Lab.attach()
    host, config = lab.node(node.namespace), lab.config(node.namespace)
    script = work_dir / "kamailio.cfg"
    script.write_text(_configuration(config, host.etc, job))
    command = command_of(KAMAILIO, host, config)
    command[command.index("-f") + 1] = str(script)
    log = work_dir / "hot.log"
    with (
        running(node.command([*command, "-Y", str(work_dir)]), log),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone,
    ):

        def measured() -> bool:
            phone.sendto(_REQUEST, (node.address, _PORT))
            return result.exists()

        wait_for("a worker has looked everybody up", measured, _HOT_WITHIN_S, log)
    found = msgspec.json.decode(result.read_bytes(), type=Hot)
    if found.missing:
        raise MeasureError(f"{found.missing} of {count} were not in the cache")
    return found


def _configuration(config: Config, etc: Path, job: Path) -> str:
    """The node's own kamailio.cfg, with another port, another socket and our script."""
    moved = replace(config, proxy=replace(config.proxy, port=_PORT))
    text = render.render(moved, files.read_farm_secret(etc))
    text = text.replace(str(config.kamailio_socket), str(job.with_name("kamailio.sock")))
    text = text.replace(
        str(Path(render.__file__).with_name("main.py")),
        str(Path(__file__).with_name("hot_worker.py")),
    )
    return text.replace("/* Process */", f"#!define SIPFARM_BENCH_JOB {job}\n/* Process */")
