"""P1: the cost of a proxied call, beside native Kamailio, stateless, with bindings in memory.

Each side has one node. The farm's has no billing and no digest, as the peer has neither. Its
bindings are in its hot cache after the warming up.
"""

from contextlib import ExitStack

from bench import network
from bench.calls import calling
from bench.farm import farm
from bench.measure import Comparison, compare
from bench.peers.kamailio import kamailio
from bench.plan import SHARED_MEMORY_MIB, WORKERS, Plan

RATE = 500.0
"""Calls a second."""
_SETTINGS = {"billing.enabled": False, "proxy.authenticate": False}


def run(plan: Plan, padding: int = 0, rate: float = RATE) -> Comparison:
    """Measure, with INVITEs that are so many bytes longer, at so many calls a second; raises
    `MeasureError` or `LabError` when that is not possible."""
    with ExitStack() as stack:
        node, phone = stack.enter_context(network.hosts(["n1", "phone"]))
        stack.enter_context(
            kamailio(
                node,
                "native_stateless.cfg",
                plan.work_dir,
                workers=WORKERS,
                shared_memory_mib=SHARED_MEMORY_MIB,
            )
        )
        ours = stack.enter_context(farm(1, _SETTINGS))
        sides = [
            stack.enter_context(calling(name, entry, caller, namespaces, plan, rate, padding))
            for name, entry, caller, namespaces in (
                ("ours", ours.nodes[0], ours.phone, ours.namespaces),
                ("peer", node, phone, (node.namespace,)),
            )
        ]
        return compare(
            *sides,
            rounds=plan.rounds,
            count=plan.count(rate),
            warm_up=plan.users,
            idle_s=plan.idle_s,
        )
