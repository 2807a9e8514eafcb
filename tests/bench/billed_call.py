"""P2: the cost of a billed call, beside native Kamailio (tm, dialog, acc) with one PostgreSQL.

The farm writes START and STOP. Each is fsynced on W=2 of three nodes before the message goes on.
The peer writes one CDR when the call ends, which its one database fsyncs. On both sides, the
benchmark counts the records to check that every call has one.
"""

from contextlib import ExitStack

from bench import network
from bench.calls import calling
from bench.farm import farm
from bench.load import Outcome
from bench.measure import Comparison, Side, compare
from bench.peers.kamailio import kamailio
from bench.peers.postgres import postgres
from bench.plan import SHARED_MEMORY_MIB, WORKERS, Plan
from bench.processes import MeasureError, wait_for

RATE = 200.0
"""Calls a second."""
SETTINGS = {"proxy.authenticate": False}
_RECORDS_WITHIN_S = 10.0


class _Counted:
    """A side that remembers how many calls it completed."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self.completed = 0

    @property
    def side(self) -> Side:
        return Side(name=self._side.name, namespaces=self._side.namespaces, work=self._work)

    def _work(self, count: int) -> Outcome:
        outcome = self._side.work(count)
        self.completed += outcome.completed
        return outcome


def run(plan: Plan, rate: float = RATE) -> Comparison:
    """Measure, at so many calls a second; raises `MeasureError` or `LabError` when that is not
    possible."""
    with ExitStack() as stack:
        node, phone = stack.enter_context(network.hosts(["n1", "phone"]))
        database = stack.enter_context(postgres(node, plan.work_dir))
        stack.enter_context(
            kamailio(
                node,
                "native_billing.cfg",
                plan.work_dir,
                workers=WORKERS,
                shared_memory_mib=SHARED_MEMORY_MIB,
                parameters=[("acc", "db_url", database.url)],
                environment=database.environment,
            )
        )
        ours = stack.enter_context(farm(plan.nodes, SETTINGS))
        our_calls, peer_calls = (
            _Counted(stack.enter_context(calling(name, entry, caller, namespaces, plan, rate)))
            for name, entry, caller, namespaces in (
                ("ours", ours.nodes[0], ours.phone, ours.namespaces),
                ("peer", node, phone, (node.namespace,)),
            )
        )
        comparison = compare(
            our_calls.side,
            peer_calls.side,
            rounds=plan.rounds,
            count=plan.count(rate),
            warm_up=plan.users,
            idle_s=plan.idle_s,
        )
        records = ours.calls()
        if records["complete"] < our_calls.completed:
            # A call's STOP was safe before its phone heard the 200: there is nothing to wait for.
            raise MeasureError(f"{our_calls.completed} calls, but billing records {dict(records)}")
        wait_for(
            f"PostgreSQL has {peer_calls.completed} CDRs",
            lambda: int(database.query("SELECT count(*) FROM acc_cdrs")) >= peer_calls.completed,
            _RECORDS_WITHIN_S,
        )
        return comparison
