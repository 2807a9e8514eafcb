"""P5: how long an acknowledged, durable write takes, and how many of them the farm can do.

A write is a call event of about 400 bytes, which W=2 of N=3 replicas fsync before it is
acknowledged. Capacity: writers at all nodes, each of which writes the next event as soon as its
last one was acknowledged. Latency: a tenth of that rate, with each event due at its own time,
whatever became of those before it.
"""

from bench import asking, farm
from bench.asker import Job, Question
from bench.peers import dht
from bench.plan import Plan
from bench.reading import Better, Reading, each_percentile, percentile

_SETTINGS = {"proxy.authenticate": False, "proxy.workers": 1}
_WRITERS = 64
"""Writes under way at a time, over all nodes."""
_PEER_WRITES = 100
"""A second of a round: one after another, as nobody else asks."""
_PEERS_NOTE = f"{dht.NOTE}; their writes come one after another"
_GUESS_PER_S = 2_000
"""About what the farm can do, for the number of writes in a round."""


def run(plan: Plan) -> list[Reading]:
    """Measure; raises `MeasureError` or `LabError` when that is not possible."""
    capacity_per_s, p50_ms, p99_ms = [], [], []
    with farm.farm(plan.nodes, _SETTINGS) as ours:
        sockets = tuple(str(path) for path in ours.control_sockets)

        def job(names: str, count: int, rate: float = 0.0) -> Job:
            return Job(
                question=Question.WRITE,
                sockets=sockets,
                connections=_WRITERS,
                count=count,
                names=names,
                rate=rate,
            )

        asking.ask(job("warm-up-", plan.count(_GUESS_PER_S / 4)))
        for number in range(plan.rounds):
            most = asking.ask(job(f"most{number}-", plan.count(_GUESS_PER_S)))
            per_s = len(most.latencies_us) / most.seconds
            rate = per_s / 10
            tenth = asking.ask(job(f"tenth{number}-", plan.count(rate), rate))
            capacity_per_s.append(per_s)
            p50_ms.append(percentile(tenth.latencies_us, 0.5) / 1000)
            p99_ms.append(percentile(tenth.latencies_us, 0.99) / 1000)
    peers = {
        kind: [
            dht.measure(kind, plan.nodes, plan.count(_PEER_WRITES), plan.count(_GUESS_PER_S))
            for _ in range(plan.rounds)
        ]
        for kind in dht.KINDS
    }
    latencies_us = {kind: [times.write_us for times in rounds] for kind, rounds in peers.items()}
    return [
        Reading(
            name="p50 at a tenth",
            unit="ms",
            goal=3.0,
            ours=tuple(p50_ms),
            peers=each_percentile(latencies_us, 0.5, 1000),
            note=_PEERS_NOTE,
        ),
        Reading(
            name="p99 at a tenth",
            unit="ms",
            goal=15.0,
            ours=tuple(p99_ms),
            peers=each_percentile(latencies_us, 0.99, 1000),
            note=_PEERS_NOTE,
        ),
        Reading(
            name="capacity",
            unit="writes/s",
            goal=4_000.0,
            better=Better.HIGHER,
            ours=tuple(capacity_per_s),
            peers={
                kind: tuple(times.writes_per_s for times in rounds)
                for kind, rounds in peers.items()
            },
            note=f"{dht.NOTE}; written at one node, where ours are written at all",
        ),
    ]
