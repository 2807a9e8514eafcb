"""DNS: how many questions a node answers, and how much they delay the daemon's event loop.

Phones and resolvers ask for the farm's NAPTR, SRV and addresses. `dnsperf` asks the node's own
PowerDNS for them as fast as it can. Then it asks at the goal's rate, while subscribers that the
node never looked up are located at its control socket. These lookups wait for the event loop, and
so show its delay.
"""

import re
import subprocess

from bench import asking, farm
from bench.asker import Job, Question
from bench.network import Host
from bench.plan import Plan
from bench.processes import MeasureError
from bench.reading import Better, Reading, percentile

GOAL_PER_S = 5_000.0
_SETTINGS = {"proxy.authenticate": False, "proxy.workers": 1}
_LOOKUPS_PER_S = 200
_QUESTIONS = "\n".join(
    f"{name} {kind}"
    for name, kind in (
        (farm.DOMAIN, "NAPTR"),
        (f"_sip._udp.{farm.DOMAIN}", "SRV"),
        (f"_sip._tcp.{farm.DOMAIN}", "SRV"),
        (f"_sips._tcp.{farm.DOMAIN}", "SRV"),
        (farm.DOMAIN, "A"),
        (farm.DOMAIN, "AAAA"),
        (f"n1.{farm.DOMAIN}", "A"),
        (f"n2.{farm.DOMAIN}", "A"),
    )
)
_RATE = re.compile(r"Queries per second:\s+([0-9.]+)")
_LOST = re.compile(r"Queries lost:\s+([0-9]+)")


def run(plan: Plan) -> list[Reading]:
    """Measure; raises `MeasureError` or `LabError` when that is not possible."""
    questions = plan.work_dir / "questions"
    questions.write_text(_QUESTIONS + "\n", encoding="ascii")
    count = max(50, plan.count(_LOOKUPS_PER_S))
    rates, alone_us, meanwhile_us = [], [], []
    with farm.farm(plan.nodes, _SETTINGS) as ours:
        sockets = tuple(str(path) for path in ours.control_sockets)
        asked = [ours.phone, ours.nodes[0].address, str(questions), plan.seconds]

        def cold_p99_us(names: str) -> float:
            job = Job(
                question=Question.LOCATE,
                sockets=sockets[:1],
                connections=1,
                count=count,
                names=names,
            )
            return percentile(asking.ask(job).latencies_us, 0.99)

        for number in range(plan.rounds):
            names = (f"alone{number}-", f"meanwhile{number}-")
            for each in names:
                asking.ask(
                    Job(
                        question=Question.REGISTER,
                        sockets=sockets,
                        connections=8,
                        count=count,
                        names=each,
                    )
                )
            rates.append(_finished(_dnsperf(*asked), lossless=False))
            alone_us.append(cold_p99_us(names[0]))
            load = _dnsperf(*asked, "-Q", f"{GOAL_PER_S:.0f}")
            try:
                meanwhile_us.append(cold_p99_us(names[1]))
            finally:
                _finished(load, lossless=True)
    alone = f"{sorted(alone_us)[len(alone_us) // 2]:.0f} us without"
    return [
        Reading(
            name="answers",
            unit="queries/s",
            goal=GOAL_PER_S,
            better=Better.HIGHER,
            ours=tuple(rates),
            note="8 questions over and over, from one host; PowerDNS keeps answers for a second",
        ),
        Reading(
            name=f"cold lookup p99 at {GOAL_PER_S:.0f} queries/s",
            unit="us",
            goal=5_000.0,
            ours=tuple(meanwhile_us),
            note=f"P4's goal; {alone}",
        ),
    ]


def _dnsperf(
    phone: Host, address: str, questions: str, seconds: float, *more: str
) -> subprocess.Popen[str]:
    argv = ["dnsperf", "-s", address, "-d", questions, "-l", f"{max(1, round(seconds))}", *more]
    return subprocess.Popen(
        phone.command([*argv, "-c", "4"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finished(load: subprocess.Popen[str], *, lossless: bool) -> float:
    """Queries a second."""
    output, _ = load.communicate()
    rate, lost = _RATE.search(output), _LOST.search(output)
    if load.returncode or rate is None or lost is None:
        raise MeasureError(f"dnsperf: {output.strip()[-300:]}")
    if lossless and int(lost[1]):
        raise MeasureError(f"dnsperf: {lost[1]} questions without an answer")
    return float(rate[1])
